"""Findings as they stand in files, sound and otherwise."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tb_gradhealth.findings import Evidence, Finding
from tb_gradhealth.live.recording import Recording as Recorder
from tb_gradhealth.reading.soundness import Check
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.findings import MAX_BYTES, MAX_FINDINGS, Found, decode, encode, tag
from tb_gradhealth.store.format import FormatError
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.records import EventFile

from ..synthetic import SESSION, Memory, Recording, recorded

LATER = "f" * 16
ONE = Finding(
    "EXPLODING",
    "critical",
    "a.b",
    30,
    50,
    41,
    (Evidence("loss", math.inf, 2.31, ""), Evidence("norm", 3.0, math.inf, "L2")),
    ("a cause", "another"),
    ("an action",),
    "",
    "loss_growth",
)
HOSTILE = replace(ONE, node="\x1b[2J\udc80[[{{,", severity="notice", rule="<b>", follows="loss_growth")


def found(*findings: Finding, start: int = 0, wall_time: float = 1_700_000_000.0) -> Found:
    return Found(start, wall_time, findings)


def test_what_is_written_is_read() -> None:
    assert decode(encode(found(ONE, HOSTILE))) == found(ONE, HOSTILE)


def test_what_there_is_no_room_for_is_left_out_the_least_grave_first() -> None:
    bad = [replace(ONE, node="x" * 2000), replace(ONE, rule=""), replace(ONE, stop=30)]
    many = [replace(ONE, start=i, stop=i + 60, causes=(f"{i} " + "ü" * 900,)) for i in range(2 * MAX_FINDINGS)]
    read = decode(encode(found(*bad, *many)))
    assert 50 < len(read.findings) <= MAX_FINDINGS
    assert list(read.findings) == many[: len(read.findings)]


def content() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(zlib.decompress(encode(found(ONE))))
    return read


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), 2),
        (("format",), None),
        (("start",), -1),
        (("start",), True),
        (("wall_time",), "NaN"),
        (("texts",), {}),
        (("texts", 0), 7),
        (("texts", 0), "x" * 2000),
        (("findings",), [[]]),
        (("findings",), [{}]),
        (("findings", 0, "severity"), "fatal"),
        (("findings", 0, "severity"), []),
        (("findings", 0, "type"), ""),
        (("findings", 0, "rule"), "x" * 65),
        (("findings", 0, "node"), "x" * 2000),
        (("findings", 0, "steps"), [50, 30, 41]),
        (("findings", 0, "steps"), [30, 50]),
        (("findings", 0, "steps"), [30, 1 << 63, 41]),
        (("findings", 0, "evidence"), [[0, 1.0, 2.0]]),
        (("findings", 0, "evidence"), [[0, "1", 2.0, 0]]),
        (("findings", 0, "causes"), [99]),
        (("findings", 0, "causes"), [0] * 99),
        (("findings", 0, "innocent"), "no"),
    ],
)
def test_what_is_not_ours_is_refused(where: tuple[Any, ...], value: object) -> None:
    read = content()
    at: Any = read
    for step in where[:-1]:
        at = at[step]
    at[where[-1]] = value
    with pytest.raises(FormatError):
        decode(zlib.compress(json.dumps(read).encode()))


@pytest.mark.parametrize("data", [b"", b"x", zlib.compress(b"[" * 10_000), zlib.compress(b" " * (2 * MAX_BYTES))])
def test_bytes_that_are_no_findings(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode(data)


def test_the_last_record_that_can_be_read_counts_and_a_later_session_replaces() -> None:
    first, second = Recording(recorded(60)), Recording(recorded(20), start=40, session=LATER, wall_time=1.8e9)
    source, run = Memory(first, second), Run()
    run.update(source)
    assert not run.diagnosed
    gone, kept = replace(ONE, start=41, detected=44), replace(ONE, node="c", start=1, detected=9)
    source.add(tag(SESSION), [encode(found(ONE, gone, kept)), b"damaged"])
    assert run.update(source)
    (problem,) = run.problems
    assert problem.startswith(f"findings of session {SESSION} are damaged and left out (expected zlib data: ")
    # From step 40 on it is the later session's, which has no diagnosis.
    assert run.findings == (replace(kept, stop=40),)
    again = replace(ONE, node="d", start=45, stop=60, detected=47)
    source.add(tag(LATER), [encode(found(again, start=40, wall_time=1.8e9))])
    run.update(source)
    assert run.findings == (replace(kept, stop=40), again)
    assert run.diagnosed


def test_a_version_that_is_not_known_costs_the_findings_alone(tmp_path: Path) -> None:
    Recording(recorded(60)).write(tmp_path)
    newer = {**content(), "format": 2}
    writer = Recorder(EventFile(tmp_path, LATER), SESSION, 0, 1_700_000_000.0, 1 << 20)
    writer.put((ONE,), 20)
    assert writer._event is not None
    writer._event.summary.value[0].tensor.tensor_content = zlib.compress(json.dumps(newer).encode())
    writer.flush()
    writer.close()
    run = Run()
    run.update(FileSource(tmp_path))
    assert (run.findings, run.timeline("gradients").end) == ((), 60)
    (problem,) = run.problems
    assert "version 2 are unknown here" in problem
    check = Check(tmp_path)
    assert list(check)
    (damage,) = check.found.damages
    assert damage.lost == "findings that no other record has"


def test_records_keep_within_their_budget(tmp_path: Path) -> None:
    budget = 1 << 13
    file = EventFile(tmp_path, SESSION)
    writer = Recorder(file, SESSION, 0, 1.7e9, budget)
    for number in range(100):
        kept = writer.put(tuple(replace(ONE, start=i, stop=99 + number) for i in range(20)), 5)
        writer.flush()
    assert not kept
    last = tuple(replace(ONE, start=i, stop=999) for i in range(20))
    writer.put(last, 5, last=True)
    writer.flush()
    writer.close()
    source = FileSource(tmp_path)
    source.tags()
    payloads = source.read([tag(SESSION)])[tag(SESSION)]
    assert 2 < len(payloads) < 100
    assert file.path.stat().st_size < budget + 2 * len(payloads[-1]) + 512
    assert decode(payloads[-1]).findings == last
