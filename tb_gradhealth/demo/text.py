"""Real text that every machine has, and what can be said in numbers about each of its characters."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CHARACTERS = 600_000
#: Characters rarer than this share of the text are one "unknown" token: their embedding would hardly ever learn.
RARE = 0.002
#: How far back the counts look.
WINDOW = 1024

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """tokens ``[position]``; descriptors ``[position, feature]`` in natural units; names ``[feature]``."""

    tokens: Integers
    vocabulary: int
    descriptors: Floats
    names: tuple[str, ...]

    def standardised(self) -> Floats:
        """Descriptors with mean 0 and standard deviation 1 over the text."""
        centred = self.descriptors - self.descriptors.mean(axis=0)
        scaled: Floats = centred / self.descriptors.std(axis=0)
        return scaled


def standard_library(characters: int = CHARACTERS) -> str:
    """The first ``characters`` of the running interpreter's own modules, in the order of their names."""
    parts, found = [], 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        parts.append(path.read_text("utf-8", errors="replace"))
        found += len(parts[-1])
        if found >= characters:
            break
    return "".join(parts)[:characters]


def read(text: str) -> Corpus:
    """Tokens and descriptors of ``text``. Raises ValueError when it is too short to count anything in."""
    if len(text) < 2 * WINDOW:
        raise ValueError(f"text: expected at least {2 * WINDOW} characters to learn from, got {len(text)}")
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)
    found, times = np.unique(codes, return_counts=True)
    common = found[times >= RARE * len(codes)]
    place = np.minimum(np.searchsorted(common, codes), len(common) - 1)
    tokens = np.where(common[place] == codes, place, len(common))
    described = _describe(np.minimum(codes, 255))
    return Corpus(
        tokens=tokens,
        vocabulary=len(common) + 1,
        descriptors=np.stack(list(described.values()), axis=1).astype(np.float32),
        names=tuple(described),
    )


def _describe(codes: Integers) -> dict[str, npt.NDArray[np.float64]]:
    """Where a character stands and what stands before it, in the units that come naturally: codes, columns, counts."""
    position = np.arange(len(codes))
    newline, space = codes == 10, codes == 32
    line_start = _latest(np.concatenate([[False], newline[:-1]]))
    line_end = np.maximum(line_start - 1, 0)  # of the line before
    text_seen = np.cumsum(~space & ~newline)
    blank_so_far = text_seen == text_seen[line_start] - (~space & ~newline)[line_start]
    kinds = {
        "lowercase": (codes >= 97) & (codes <= 122),
        "spaces": space,
        "newlines": newline,
        "capitals": (codes >= 65) & (codes <= 90),
        "punctuation": _between(codes, 33, 47) | _between(codes, 58, 64) | _between(codes, 91, 96),
    }
    return {
        "code_point": codes.astype(np.float64),
        "previous_code_point": np.concatenate([[10], codes[:-1]]).astype(np.float64),
        "column": (position - line_start).astype(np.float64),
        "indentation": _latest_value(np.where(blank_so_far & space, position - line_start + 1, -1), line_start),
        "since_space": (position - _latest(space | newline)).astype(np.float64),
        "previous_line_length": (line_end - line_start[line_end]).astype(np.float64),
        **{f"{name}_in_window": WINDOW * _moving_mean(kind) for name, kind in kinds.items()},
    }


def _between(codes: Integers, low: int, high: int) -> npt.NDArray[np.bool_]:
    return (codes >= low) & (codes <= high)


def _latest(marks: npt.NDArray[np.bool_]) -> Integers:
    """Position of the latest mark at or before each position, 0 before the first."""
    latest: Integers = np.maximum.accumulate(np.where(marks, np.arange(len(marks)), 0))
    return latest


def _latest_value(values: Integers, line_start: Integers) -> npt.NDArray[np.float64]:
    """The latest value that is not -1 within the line, 0 if there is none."""
    at = _latest(values >= 0)
    return np.where(at >= line_start, np.maximum(values[at], 0), 0).astype(np.float64)


def _moving_mean(marks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Share of marks among the last WINDOW characters, or among all so far where there are fewer."""
    total = np.concatenate([[0], np.cumsum(marks)])
    stop = np.arange(1, len(marks) + 1)
    start = np.maximum(stop - WINDOW, 0)
    share: npt.NDArray[np.float64] = (total[stop] - total[start]) / (stop - start)
    return share
