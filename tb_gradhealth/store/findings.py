"""Findings in an event file: all of one session at a time, so that the last record that can be read is enough.

The payload is zlib data of a JSON object, as ``docs/format.md`` has it. What is read here is hostile until checked.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import notes as noted
from ..findings import SEVERITIES, Evidence, Finding
from .format import MAX_STEP, PLUGIN, FormatError, inflate

VERSION = 1
#: Findings of a session, the gravest ones, and bytes of their JSON.
MAX_FINDINGS, MAX_BYTES = 200, 1 << 19
MAX_EVIDENCE, MAX_LINES = 8, 16  # of a finding; causes and actions are lines
MAX_TEXT = 1 << 10  # characters of a sentence
MAX_TEXTS = MAX_FINDINGS * (2 * MAX_EVIDENCE + 2 * MAX_LINES + 1)
MAX_WORD = 64  # of a type or a rule

_TAG = re.compile(rf"{PLUGIN}/([0-9a-f]{{8,32}})/findings")
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Found:
    """What was found so far in the session that began at the step ``start``, worst first."""

    start: int
    wall_time: float  # of the session, as in its schemas
    findings: tuple[Finding, ...]


def tag(session: str) -> str:
    return f"{PLUGIN}/{session}/findings"


def session_of(text: str) -> str | None:
    """The session whose findings stand under a tag; None for another tag."""
    match = _TAG.fullmatch(text)
    return None if match is None else match.group(1)


def encode(found: Found) -> bytes:
    """As many of the findings as there is room for. Texts, which those of a rule share, stand there once."""
    texts: dict[str, int] = {}
    listed: list[str] = []
    left = MAX_BYTES - 256
    for one in found.findings[:MAX_FINDINGS]:
        # What a rule of somebody's own gives must not cost the others their place.
        known = len(texts)
        try:
            line = json.dumps(_content(one, texts), separators=(",", ":"), allow_nan=False)
            new = list(texts)[known:]
            size = len(line) + sum(len(json.dumps(text)) + 1 for text in new) + 1
        except (TypeError, ValueError):
            size = left + 1
        if size > left or _broken(one):
            texts = dict(list(texts.items())[:known])
            continue
        listed.append(line)
        left -= size
    head = json.dumps({"format": VERSION, "start": found.start, "wall_time": found.wall_time, "texts": list(texts)})
    return zlib.compress((head[:-1] + ', "findings": [' + ",".join(listed) + "]}").encode(), 6)


def _broken(one: Finding) -> bool:
    """Whether a reader would not take it."""
    return (
        one.severity not in SEVERITIES
        or not all(0 < len(word) <= MAX_WORD for word in (one.type, one.rule))
        or len(one.follows) > MAX_WORD
        or noted.too_long(one.node)
        or not 0 <= one.start < one.stop <= MAX_STEP
        or not 0 <= one.detected < MAX_STEP
    )


def _content(one: Finding, texts: dict[str, int]) -> dict[str, Any]:
    def text(what: str) -> int:
        return texts.setdefault(what[:MAX_TEXT], len(texts))

    evidence = [
        [text(e.what), noted.written(float(e.value)), noted.written(float(e.baseline)), text(e.unit)]
        for e in one.evidence[:MAX_EVIDENCE]
    ]
    content: dict[str, Any] = {
        "type": one.type,
        "severity": one.severity,
        "rule": one.rule,
        "node": one.node,
        "steps": [int(one.start), int(one.stop), int(one.detected)],
        "evidence": evidence,
        "causes": [text(cause) for cause in one.causes[:MAX_LINES]],
        "actions": [text(action) for action in one.actions[:MAX_LINES]],
        "innocent": text(one.innocent),
    }
    return {**content, "follows": one.follows} if one.follows else content


def decode(data: bytes) -> Found:
    """Raises FormatError for what :func:`encode` does not make, and for versions that this reader does not know."""
    text = inflate(data, MAX_BYTES)
    try:
        fields = json.loads(text)  # so few bytes that it does not matter what they are
        if not isinstance(fields, dict):
            raise ValueError(f"expected a JSON object, got {type(fields).__name__}")
        if fields.get("format") != VERSION:
            came = repr(fields.get("format"))[:40]
            raise FormatError(
                f"findings of version {came} are unknown here (this one knows {VERSION}): upgrade tb-gradhealth"
            )
        texts = tuple(_text(one, MAX_TEXT) for one in _list(fields["texts"], MAX_TEXTS))
        return Found(
            _step(fields["start"]),
            _number(fields["wall_time"], finite=True),
            tuple(_finding(one, texts) for one in _list(fields["findings"], MAX_FINDINGS)),
        )
    except FormatError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"expected findings of version {VERSION}, but {type(error).__name__}: {error}") from error


def _finding(fields: Mapping[str, Any], texts: Sequence[str]) -> Finding:
    def lines(name: str) -> tuple[str, ...]:
        return tuple(_at(texts, place) for place in _list(fields[name], MAX_LINES))

    start, stop, detected = map(_step, _list(fields["steps"], 3))
    if not start < stop:
        raise ValueError(f"expected a finding of steps [a, b) with a < b, got [{start}, {stop})")
    severity, node = fields["severity"], fields["node"]
    if severity not in SEVERITIES:
        raise ValueError(f"expected a severity out of {', '.join(SEVERITIES)}, got {str(severity)[:40]!r}")
    if not isinstance(node, str) or noted.too_long(node):
        raise ValueError(f"expected a name of at most {noted.MAX_NAME_BYTES} bytes, got {str(node)[:40]!r}")
    return Finding(
        _text(fields["type"], MAX_WORD, 1),
        severity,
        node,
        start,
        stop,
        detected,
        tuple(_evidence(one, texts) for one in _list(fields["evidence"], MAX_EVIDENCE)),
        lines("causes"),
        lines("actions"),
        _at(texts, fields["innocent"]),
        _text(fields["rule"], MAX_WORD, 1),
        _text(fields.get("follows", ""), MAX_WORD),
    )


def _evidence(fields: object, texts: Sequence[str]) -> Evidence:
    what, value, baseline, unit = _list(fields, 4)
    return Evidence(_at(texts, what), _number(value), _number(baseline), _at(texts, unit))


def _list(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"expected an array of at most {most}, got {type(value).__name__}")
    return value


def _at(texts: Sequence[str], place: object) -> str:
    if type(place) is not int or not 0 <= place < len(texts):
        raise ValueError(f"expected the place of one of {len(texts)} texts, got {repr(place)[:40]}")
    return texts[place]


def _text(value: object, most: int, least: int = 0) -> str:
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise ValueError(f"expected a text of {least} to {most} characters, got {repr(value)[:40]}")
    return value


def _step(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_STEP:
        raise ValueError(f"expected a step, got {repr(value)[:40]}")
    return value


def _number(value: object, finite: bool = False) -> float:
    if isinstance(value, str) and value in _NOT_FINITE and not finite:
        return _NOT_FINITE[value]
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and abs(value) < noted.MAX_NUMBER:
        return float(value)
    raise ValueError(f"expected a number, got {repr(value)[:40]}")
