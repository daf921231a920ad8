"""Files of version 2 that people have stay readable: by us, and by what ``docs/format.md`` says.

The figures are worked out from the elements of ``tests/fixtures/make_v2.py`` by the definitions in ``directly.py``.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_reader import Archive
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.format import Schema, Tag
from tb_gradhealth.store.reader import DirectoryRun, open_directory
from tb_gradhealth.store.rowgroup import RowGroup

from .. import directly
from ..fixtures import make_v2
from ..fixtures.make_v2 import EVERY, FIRST, SECOND, Life
from . import v2_decoder
from .agreement import agree, plain, same
from .v2_decoder import Row, Session

FOLDER = Path(__file__).parent.parent / "fixtures" / "v2"
#: Largest float32 with 12 bits of mantissa.
MOST = (2 - 2.0**-12) * 2.0**127
COUNTS: dict[str, Callable[[float], bool]] = {
    "count": lambda x: True,
    "zero": lambda x: x == 0,
    "near_zero": lambda x: abs(x) < 1e-8,
    "saturated": lambda x: abs(x) >= float(np.finfo(np.float32).max) / 8,
    "nan": math.isnan,
    "pos_inf": lambda x: x == math.inf,
    "neg_inf": lambda x: x == -math.inf,
}


def decoded(folder: Path) -> dict[str, Session]:
    found: dict[v2_decoder.Key, Session] = {}
    for path in sorted(folder.glob("*tfevents*")):
        found.update(v2_decoder.read_events(path.read_bytes()))
    v2_decoder.read_archive(folder / DIRECTORY, found)
    assert {stream for _, stream in found} == {"gradients"}
    return {session: one for (session, _), one in found.items()}


@pytest.fixture(scope="module")
def sessions() -> dict[str, Session]:
    return decoded(FOLDER)


@pytest.fixture(scope="module")
def run() -> DirectoryRun:
    run = open_directory(FOLDER)
    assert (run.problems, run.source.damaged) == ([], 0)
    return run


def everything(session: Session) -> list[Row]:
    return [*session.events, *session.archive, *session.journal]


def levels(rows: list[Row]) -> dict[int, int]:
    """How many rows of each level."""
    return {level: sum(row.level == level for row in rows) for level in sorted({row.level for row in rows})}


def test_the_fixture_has_what_it_is_there_for(sessions: dict[str, Session]) -> None:
    first, second = sessions[FIRST], sessions[SECOND]
    assert levels(first.archive) == {0: 64}
    assert len(list((FOLDER / DIRECTORY / FIRST).glob("*.journal-*"))) == 2, "the index has the rows of one of them"
    assert [(row.start, row.stop) for row in first.journal] == [(a, a + 3) for a in range(198, 234, 3)]
    assert levels(second.archive) == levels(second.events) == {0: 20, 1: 2, 2: 1}
    prefix = levels(first.events)
    assert 0 < prefix[0] < 64, "level 0 ends when its share is used up"
    short = [row for row in first.events if row.level and row.stop % (EVERY * 16**row.level)]
    assert short, "from then on there are tails"
    assert any(row.recorded < row.stop - row.start for row in first.archive)
    assert {bool(row.scalars) for row in first.archive} == {bool(row.notes) for row in first.archive} == {True, False}


@pytest.mark.parametrize("life", [make_v2.first(), make_v2.second()], ids=["killed", "closed"])
def test_the_documented_bytes_hold_the_figures(sessions: dict[str, Session], life: Life) -> None:
    session = sessions[life.recording.session]
    kinds = {metric["name"]: metric["kind"] for metric in session.about["metrics"]}
    assert set(kinds) == set(directly.METRICS)
    for column, node in enumerate(session.about["nodes"]):
        steps = elements_of(life, node)
        metrics = {name: directly.per_step(name, [[x] for x in steps.values()]) for name in kinds}
        counts = {
            name: [sum(holds(float(x)) for x in step) for step in steps.values()] for name, holds in COUNTS.items()
        }
        at = {step: index for index, step in enumerate(steps)}
        for row in everything(session):
            inside = [step for step in life.steps if row.start <= step < row.stop]
            where = (row.level, row.start, row.stop, node["name"])
            assert row.recorded == len(inside), where
            bad = [step for step in inside if not np.isfinite(steps[step]).all()]
            finite = sum(bool(np.isfinite(steps[step]).any()) for step in inside)
            assert [plane[column] for plane in row.steps] == [
                sum(len(steps[step]) > 0 for step in inside),
                finite,
                bad[0] if bad else -1,
            ], where
            for name, own in counts.items():
                assert row.counts[name][column] == sum(own[at[step]] for step in inside), (*where, name)
            for name, kind in kinds.items():
                values = [value for step in inside if not math.isnan(value := metrics[name][at[step]])]
                expected = [math.fsum(values) / len(values), min(values), max(values)] if values else [math.nan] * 3
                for plane, value in zip(row.metrics[name], expected, strict=True):
                    assert near(plane[column], value, kind), (*where, name, plane[column], value)


def elements_of(life: Life, node: dict[str, Any]) -> dict[int, npt.NDArray[np.float64]]:
    """Step → all elements of the tensors in ``node``."""
    name, kind = node["name"], node["kind"]
    inside = [
        column
        for column, tensor in enumerate(life.recording.names)
        if kind == "total" or (tensor == name if kind == "tensor" else tensor.startswith(f"{name}."))
    ]
    return {step: directly.of_node([life.elements[step - life.start][i] for i in inside]) for step in life.steps}


def near(value: float, expected: float, kind: str) -> bool:
    """Whether a decoded value is as near as its code promises."""
    if math.isnan(expected) or math.isnan(value):
        return math.isnan(expected) and math.isnan(value)
    if kind == "magnitude":
        inside = expected and -180 <= math.log2(expected) <= 149
        return abs(value - expected) <= (0.00175 if inside else 1e-12) * expected
    if kind == "fraction":
        return abs(value - expected) <= 0.0005 * min(expected, 1 - expected)
    if kind == "signed":
        bounded = max(-MOST, min(expected, MOST))
        # What sums of float64 leave of elements that cancel is not in question here.
        return abs(value - bounded) <= 0.000123 * abs(bounded) + 1e-14
    return value == expected


def test_what_is_exact(sessions: dict[str, Session]) -> None:
    def of(step: int, metric: str, node: str) -> list[float]:
        (row,) = [row for row in session.archive if row.level == 0 and row.start <= step < row.stop]
        column = [each["name"] for each in session.about["nodes"]].index(node)
        return [plane[column] for plane in row.metrics[metric]]

    session = sessions[FIRST]
    assert of(0, "zero_fraction", "embed.weight") == [1.0, 1.0, 1.0]
    assert of(0, "zero_fraction", "blocks.0.weight") == [0.0, 0.0, 0.0]
    assert of(0, "zero_fraction", "blocks.0.bias") == pytest.approx([0.998] * 3, abs=1e-6)
    assert of(20, "abs_max", "head.weight")[2] == 1e60
    assert of(20, "mean", "head.weight")[2] == MOST
    assert of(22, "abs_max", "scale")[1] == 1e-60
    assert all(map(math.isnan, of(31, "norm", "blocks.0.bias")))


@pytest.mark.parametrize("life", [make_v2.first(), make_v2.second()], ids=["killed", "closed"])
def test_what_was_logged_and_what_happened(sessions: dict[str, Session], life: Life) -> None:
    for row in everything(sessions[life.recording.session]):
        inside = [step for step in life.steps if row.start <= step < row.stop]
        logged: dict[str, list[float]] = {}
        for step in inside:
            for name, value in life.recording.logged.get(step, []):
                logged.setdefault(name, []).append(value)
        assert row.scalars.keys() == logged.keys()
        for name, values in logged.items():
            count, total, least, most = row.scalars[name]
            assert count == len(values)
            assert total == pytest.approx(sum(values), nan_ok=True)
            if not any(map(math.isnan, values)):
                assert (least, most) == (min(values), max(values))
        notes = [note for step in inside for note in life.notes.get(step, [])]
        assert row.notes == list(map(plain, notes))


def test_our_reader_reads_the_same_row_groups_as_the_document(sessions: dict[str, Session]) -> None:
    archive = Archive(FOLDER / DIRECTORY)
    assert archive.update()
    assert archive.problems == []
    source = FileSource(FOLDER)
    payloads = source.read(list(source.tags()))
    for name, session in sessions.items():
        ours = archive.streams[name, "gradients"]
        groups = [part.open() for part in ours.parts]
        same(groups, ours.schema, session.archive + session.journal)
        tags = [tag for tag in payloads if (parsed := Tag.parse(tag)).session == name and parsed.level is not None]
        groups = [RowGroup.of(data, ours.schema) for tag in tags for data in payloads[tag]]
        same(groups, ours.schema, session.events)
        assert Schema.decode(payloads[str(Tag(name, "gradients"))][0]) == ours.schema
        assert [vars(metric) for metric in ours.schema.metrics] == session.about["metrics"]
        nodes = [(node.name, node.kind, node.shape, node.dtype) for node in ours.schema.nodes]
        theirs = [(n["name"], n["kind"], n["shape"] and tuple(n["shape"]), n["dtype"]) for n in session.about["nodes"]]
        assert nodes == theirs
        numbers = ("session", "stream", "label", "wall_time", "start_step", "every", "near_zero")
        assert [getattr(ours.schema, field) for field in numbers] == [session.about[field] for field in numbers]
        assert list(ours.schema.counts) == session.about["counts"]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_our_reader_shows_the_same_history_as_the_document(
    run: DirectoryRun, sessions: dict[str, Session], level: int
) -> None:
    timeline = run.timeline("gradients")
    nodes = list(zip(timeline.tree.names, timeline.tree.kinds, strict=True))
    expected = iter(v2_decoder.history(list(sessions.values()), level))
    seen = set()
    for span in timeline.rows(timeline.first, timeline.end, EVERY * 16**level):
        metrics = {name: span.metric(name, np.arange(len(nodes))) for name in timeline.metrics}
        for i in range(len(span)):
            session, row, stop = next(expected)
            seen.add(session.about["session"])
            assert (span.start[i], span.stop[i], span.recorded[i]) == (row.start, stop, row.recorded)
            own = [(node["name"], node["kind"]) for node in session.about["nodes"]]
            place = [own.index(node) if node in own else None for node in nodes]
            for name, ours in metrics.items():
                theirs = [[math.nan if at is None else plane[at] for at in place] for plane in row.metrics[name]]
                np.testing.assert_allclose(ours[:, i], theirs, rtol=1e-12, atol=0)
            agree(span.scalars(i), span.notes(i), row)
    assert next(expected, None) is None
    assert seen == {FIRST, SECOND}


def test_without_the_archive_coarser_rows_show_the_rest(sessions: dict[str, Session]) -> None:
    only = Session(sessions[FIRST].about, events=sessions[FIRST].events)
    rows = v2_decoder.counting(only, 0)
    measured = make_v2.first().steps
    last = rows[-1].stop
    assert sum(row.recorded for row in rows) == sum(step < last for step in measured)
    assert {row.level for row in rows} == {0, 1}
    assert last > 192, "a tail shows what came behind the last full row"


def test_two_sessions_are_one_history(run: DirectoryRun) -> None:
    timeline = run.timeline("gradients")
    assert (timeline.first, timeline.end, timeline.cell, timeline.full) == (0, 210, EVERY, True)
    assert [session.schema.session for session in timeline.sessions] == [FIRST, SECOND]
    assert {"head.weight", "head2.weight"} <= set(timeline.tree.names)
    notes, complete = timeline.notes(0, 1000, 10)
    assert ([(note.step, note.kind) for note in notes], complete) == (
        [(13, "skipped"), (14, "skipped"), (170, "not_stepped")],
        True,
    )


def test_the_files_are_what_they_were() -> None:
    assert make_v2.sums(FOLDER) == (FOLDER / make_v2.SUMS).read_text()
    assert len(make_v2.files(FOLDER)) == 10


def test_what_makes_them_still_makes_the_same(sessions: dict[str, Session], tmp_path: Path) -> None:
    # In a process of its own: one of the sessions leaves its files open, as if killed.
    subprocess.run(
        [sys.executable, "-m", make_v2.__name__, str(tmp_path)],
        check=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    again = decoded(tmp_path)
    for name, session in sessions.items():
        assert again[name].about == session.about
        # Not the bytes: another zlib may deflate to others.
        assert repr(again[name].archive + again[name].journal) == repr(session.archive + session.journal)
        # How much of a session its events hold is up to the writer, but not what they say of it.
        rows = {(row.level, row.start, row.stop): row for row in again[name].events}
        both = [(row, rows[key]) for row in session.events if (key := (row.level, row.start, row.stop)) in rows]
        assert {row.level for row, _ in both} == {row.level for row in session.events}
        assert all(repr(row) == repr(other) for row, other in both)


def test_the_files_say_nothing_of_where_they_were_made() -> None:
    for path in make_v2.files(FOLDER):
        data = path.read_bytes()
        assert len(data) < 65536
        for word in (b"/work", b"/home", b"/root", b"/tmp"):
            assert word not in data
