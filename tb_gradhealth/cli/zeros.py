"""``gradhealth zeros``: the share of zeros in each tensor, every so many steps, as a text that people keep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..diagnosis import RULES
from ..diagnosis import settings as configured
from ..diagnosis.replay import tensors_of
from ..diagnosis.rule import Rule
from ..diagnosis.zeros import ALERT, MARKS, Bands, bands
from ..reading import choose
from ..reading.choose import AskedError
from ..reading.lines import KINDS, Batch, Column
from ..reading.opened import OpenRun, open_run
from ..reading.windows import window
from ..rows import Floats
from ..store.timeline import Timeline
from .export import SUFFIXES, opened_output, replaced
from .status import DONE
from .terminal import Progress, complain, printable
from .watched import Watched

#: Metrics that the published bands are of, and that are shown unless another one is asked for, the first that is there.
BANDED, BANDED_STREAM = ("near_zero_fraction", "zero_fraction"), "gradients"
#: Steps of a window unless it is said.
WINDOW = 100


@dataclass(frozen=True)
class Asked:
    """What is shown of a run."""

    every: int
    window: int = WINDOW
    stream: str | None = None
    metric: str | None = None
    nodes: list[str] | None = None
    least: float = 0.0
    by_share: bool = False
    rules: Sequence[Rule] = RULES

    def __post_init__(self) -> None:
        choose.positive("every", self.every)
        choose.positive("window", self.window)

    def metric_of(self, timeline: Timeline) -> str:
        fractions = {name: name for name, info in timeline.metrics.items() if info.kind == "fraction"}
        usual = next((name for name in (*BANDED, *fractions) if name in fractions), "")
        return choose.one_of("metric", usual if self.metric is None else self.metric, fractions)


@dataclass(frozen=True)
class Block:
    """Means over the steps ``[start, stop)``; ``[node]`` each, of the nodes that are shown."""

    start: int
    stop: int
    names: list[str]
    kinds: list[str]
    share: Floats
    first: Floats
    change: Floats
    marks: list[str]
    left_out: int  # nodes below the least share


@dataclass
class Zeros:
    """Makes blocks, one after the other, and remembers what those before them had."""

    asked: Asked
    _first: dict[tuple[str, str], float] = field(default_factory=dict)  # by name and kind
    _before: dict[tuple[str, str], float] = field(default_factory=dict)

    def block(self, timeline: Timeline, stop: int) -> Block | None:
        """The mean over the last steps before ``stop``; None where nothing is recorded of them."""
        tree, asked = timeline.tree, self.asked
        begin = max(timeline.first, stop - asked.window)
        metric = asked.metric_of(timeline)
        found = window(timeline, metric, np.arange(len(tree), dtype=np.intp), begin, stop)
        if found is None:
            return None
        shares = found.mean
        marks = [""] * len(tree)
        if (known := self.bands(timeline)) is not None:
            marks = known.marks(shares)
        keys = list(zip(tree.names, tree.kinds, strict=True))
        for key, share in zip(keys, shares.tolist(), strict=True):
            if share == share:
                self._first.setdefault(key, share)
        before, self._before = self._before, dict(zip(keys, shares.tolist(), strict=True))
        which = choose.nodes(tree, asked.nodes)
        shown = which[shares[which] >= asked.least] if asked.least else which
        if asked.by_share:
            shown = shown[np.argsort(-np.nan_to_num(shares[shown], nan=-1.0), kind="stable")]
        nothing = float("nan")
        return Block(
            found.start,
            found.stop,
            [tree.names[node] for node in shown],
            [tree.kinds[node] for node in shown],
            shares[shown],
            np.array([self._first.get(keys[node], nothing) for node in shown], np.float64),
            np.array([shares[node] - before.get(keys[node], nothing) for node in shown], np.float64),
            [marks[node] for node in shown],
            len(which) - len(shown),
        )

    def forget_last(self) -> None:
        """The last block says nothing of what the next one changes."""
        self._before = {}

    def bands(self, timeline: Timeline) -> Bands | None:
        """None for what no bands are published of."""
        if timeline.sessions[-1].schema.stream == BANDED_STREAM and self.asked.metric_of(timeline) in BANDED:
            return bands(timeline.tree, tensors_of(timeline), self.asked.rules)
        return None

    def head(self, name: str, timeline: Timeline) -> list[str]:
        """What a reader of the text has to know."""
        asked, info = self.asked, timeline.metrics[self.asked.metric_of(timeline)]
        lines = [
            f"{info.label} of {timeline.label} in {name}, percent",
            f"mean over the last {asked.window:,} of every {asked.every:,} steps, of the steps that have any; modules "
            "by the number of elements",
        ]
        if (known := self.bands(timeline)) is not None:
            limits = sorted(set(np.round(100 * known.limit, 6).tolist()))
            above = " or ".join(f"{limit:g} %" for limit in limits)
            above += ", by component" if len(limits) > 1 else ""
            lines += [
                f"alert: above {100 * ALERT:g} %; critical: above {above}. "
                "Hints, no alarms: healthy networks cross them",
                "by design: above, but for what is zero in health (a third of in_proj_bias, which is the bias of keys; "
                "embedding rows of absent tokens; a bias in front of a batch norm)",
            ]
        return [printable(line) for line in lines]


def text_of(block: Block, least: float) -> list[str]:
    """A block, of which shares below ``least`` are left out, as lines."""
    lines = ["", f"step {block.stop - 1}: mean of the steps {block.start} to {block.stop - 1}"]
    lines.append(f"{'share':>8}{'first':>8}{'change':>8}  {'mark':9}  name")
    for number, name in enumerate(block.names):
        figures = f"{_percent(block.share[number]):>8}{_percent(block.first[number]):>8}"
        shown = printable(name) or "the whole model"
        what = "/" if block.kinds[number] == "module" else ""
        change = _percent(block.change[number], "+")
        lines.append(f"{figures}{change:>8}  {block.marks[number]:9}  {shown}{what}".rstrip())
    if block.left_out:
        lines.append(f"{block.left_out} more below {100 * least:g} %")
    return lines


def _percent(share: float, sign: str = "") -> str:
    return "-" if share != share else f"{100 * share:{sign}.1f}"


COLUMNS = ("step", "start", "stop", "node", "kind", "share", "first", "change", "mark")


def zeros(options: argparse.Namespace) -> int:
    settings = configured.read(options.config) if options.config else None
    asked = Asked(
        options.every,
        options.window,
        options.stream,
        options.metric,
        options.nodes,
        options.min,
        options.sort == "share",
        configured.apply(settings, (*RULES, *configured.custom_rules())),
    )
    run = open_run(options.run)
    timeline = run.timeline(asked.stream)
    report = Zeros(asked)
    chosen = options.format or SUFFIXES.get(Path(options.output or "").suffix.lower(), "text")
    if chosen == "parquet" and options.output in (None, "-"):
        raise AskedError("parquet is no text: name a file with -o FILE")
    choose.nodes(timeline.tree, asked.nodes)
    head = report.head(options.run, timeline)
    with Progress(f"zeros {options.run}") as progress:
        blocks = _blocks(report, timeline, progress if options.output else lambda done, total: None)
        if chosen == "text":
            _write_text(options.output, head, blocks, asked.least)
        else:
            columns = _columns(timeline)
            with opened_output(options.output, chosen, columns) as output:
                for block in blocks:
                    output.write(_batch(block, columns))
    for problem in run.problems:
        complain(problem)
    return DONE


def ends(first: int, end: int, every: int) -> Iterator[int]:
    """Where the blocks of the steps ``[first, end)`` end: at multiples of ``every``, and the last one at ``end``."""
    yield from range((first // every + 1) * every, end, every)
    if first < end:
        yield end


def _blocks(report: Zeros, timeline: Timeline, progress: Any) -> Iterator[Block]:
    for stop in ends(timeline.first, timeline.end, report.asked.every):
        if (block := report.block(timeline, stop)) is not None:
            yield block
        progress(stop - timeline.first, timeline.end - timeline.first)


def _write_text(name: str | None, head: Sequence[str], blocks: Iterator[Block], least: float) -> None:
    if name in (None, "-"):
        _put(sys.stdout, head, blocks, least)
        return
    assert name is not None
    with replaced(Path(name)) as path, path.open("w", encoding="utf-8") as file:
        _put(file, head, blocks, least)


def _put(file: TextIO, head: Sequence[str], blocks: Iterator[Block], least: float) -> None:
    for line in head:
        file.write(line + "\n")
    for block in blocks:
        file.write("\n".join(text_of(block, least)) + "\n")


def _columns(timeline: Timeline) -> list[Column]:
    words: Mapping[str, tuple[str, ...]] = {
        "node": tuple(dict.fromkeys(timeline.tree.names)),
        "kind": KINDS,
        "mark": MARKS,
    }
    whole = ("step", "start", "stop")
    return [
        Column(name, "text" if name in words else "whole" if name in whole else "real", words.get(name, ()))
        for name in COLUMNS
    ]


def _batch(block: Block, columns: Sequence[Column]) -> Batch:
    lines = len(block.names)
    texts = {"node": block.names, "kind": block.kinds, "mark": block.marks}
    values: dict[str, Any] = {
        "step": np.full(lines, block.stop - 1),
        "start": np.full(lines, block.start),
        "stop": np.full(lines, block.stop),
        "share": block.share,
        "first": block.first,
        "change": block.change,
    }
    for column in columns:
        if column.kind == "text":
            place = {word: number for number, word in enumerate(column.words)}
            values[column.name] = np.array([place[word] for word in texts[column.name]], np.intp)
    return [values[column.name] for column in columns]


class ZerosFile:
    """The same report, to which a block is added whenever a watched run has come so far."""

    def __init__(self, every: str, path: str, rules: Sequence[Rule]) -> None:
        if not every.isdecimal():
            raise AskedError(f"--zeros: expected a number of steps and a file, got {every!r}")
        self._report = Zeros(Asked(int(every), min(WINDOW, int(every) or 1), rules=rules))
        self._path = Path(path)
        self._next = 0  # the end of the next block; 0 before the first one
        self._headed = False

    def write(self, watched: Watched, over: bool) -> None:
        """Blocks of rows that stay as they are, and of all rows once the watch is ``over``."""
        run: OpenRun = watched.growing.run
        if not run.streams or not (watched.news or over):
            return
        timeline, every = run.timeline(), self._report.asked.every
        again = watched.growing.again if watched.news else None
        lines: list[str] = []
        if again is not None and again < self._next:
            lines += ["", f"a session began again at step {again}"]
            self._next = (again // every + 1) * every
            self._report.forget_last()
        if not self._headed:
            lines += self._report.head(watched.name, timeline)
            self._headed = True
        self._next = self._next or (timeline.first // every + 1) * every
        until = timeline.end if over else watched.growing.settled
        for stop in ends(self._next - every, until, every):
            if stop % every and not over:
                break
            if (block := self._report.block(timeline, stop)) is not None:
                lines += text_of(block, self._report.asked.least)
            self._next = (stop // every + 1) * every
        if lines:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
