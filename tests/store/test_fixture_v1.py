"""Files of version 1 that people have stay readable: by us, and by what ``docs/format_v1.md`` says.

The figures below are worked out by hand from ``tests/fixtures/make_v1.py``, not copied from a reader.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.rows import NEVER
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.rowgroup import NO_STEP

from . import v1_decoder

FOLDER = Path(__file__).parent.parent / "fixtures" / "v1"
FIRST, SECOND = "00000000000000a1", "00000000000000b2"
CODE = 0.00175
#: L2 norm of 1,000 numbers evenly spaced from -1 to 1.
EVEN = math.sqrt(1000 * 1001 / (3 * 999))
#: The same of the first two of them alone.
TWO = math.hypot(1, 1 - 2 / 999)


@pytest.fixture(scope="module")
def sessions() -> dict[str, v1_decoder.Session]:
    found: dict[str, v1_decoder.Session] = {}
    for path in sorted(FOLDER.iterdir()):
        found.update(v1_decoder.read(path.read_bytes()))
    return found


@pytest.fixture(scope="module")
def run() -> Run:
    run, source = Run(), FileSource(FOLDER)
    run.update(source)
    assert (run.problems, source.damaged) == ([], 0)
    return run


def value(session: v1_decoder.Session, row: int, metric: str, view: str, node: str) -> float:
    column = [each["name"] for each in session.about["nodes"]].index(node)
    return session.rows[row].metrics[metric][["mean", "min", "max"].index(view)][column]


def test_the_documented_bytes_hold_the_figures(sessions: dict[str, v1_decoder.Session]) -> None:
    first, second = sessions[FIRST], sessions[SECOND]
    assert [(row.start, row.stop, row.level) for row in first.rows] == [(0, 10, 0), (10, 20, 0), (20, 25, 0)]
    assert [(row.start, row.stop, row.level) for row in second.rows] == [(20, 30, 0), (30, 32, 0)]
    expected = [
        (0, "norm", "min", "head.weight", 4 * EVEN),
        (0, "norm", "max", "head.weight", 40 * EVEN),
        (0, "norm", "mean", "head.weight", (9 * 4 + 40) * EVEN / 10),
        (0, "norm", "max", "", 10 * math.hypot(4 * EVEN, 2 * EVEN, 3 * TWO)),
        (0, "abs_max", "min", "blocks.0.bias", 3.0),
        (1, "norm", "min", "head.weight", 4 * math.sqrt(EVEN**2 - TWO**2)),
        (2, "rms", "max", "blocks.0.weight", 2 * EVEN / math.sqrt(1000)),
    ]
    for row, metric, view, node, figure in expected:
        assert value(first, row, metric, view, node) == pytest.approx(figure, rel=CODE), (row, metric, view, node)
    assert value(second, 1, "norm", "max", "") == pytest.approx(10 * math.sqrt(1 + 4 + 9 + 16), rel=CODE)
    assert value(second, 0, "mean", "max", "head2.weight") == 4.0


def test_exact_zero_and_one_998_of_1000_and_1e300(sessions: dict[str, v1_decoder.Session]) -> None:
    first = sessions[FIRST]
    assert value(first, 0, "zero_fraction", "max", "embed.weight") == 1.0
    assert value(first, 0, "zero_fraction", "max", "head.weight") == 0.0
    assert value(first, 0, "zero_fraction", "min", "blocks.0.bias") == pytest.approx(0.998, abs=1e-6)
    assert value(first, 0, "norm", "max", "embed.weight") == 0.0
    assert value(first, 2, "norm", "max", "head.weight") == pytest.approx(1e300, rel=1e-12)
    assert value(first, 2, "mean", "max", "head.weight") == pytest.approx(float(np.finfo(np.float32).max))


def test_bad_missing_and_counted(sessions: dict[str, v1_decoder.Session]) -> None:
    row = sessions[FIRST].rows[1]
    column = {node["name"]: i for i, node in enumerate(sessions[FIRST].about["nodes"])}
    bad = {name: row.steps[2][i] for name, i in column.items()}
    assert (bad[""], bad["blocks"], bad["head"], bad["embed"]) == (3, 3, 4, NO_STEP)
    assert [row.steps[plane][column["blocks.0.bias"]] for plane in (0, 1)] == [0, 0]
    assert math.isnan(value(sessions[FIRST], 1, "zero_fraction", "mean", "blocks.0.bias"))
    counts = {name: plane[0] for name, plane in row.counts.items()}
    assert counts == {
        "count": 30_000,
        "zero": 10_000,
        "near_zero": 10_000,
        "saturated": 2,
        "nan": 1,
        "pos_inf": 1,
        "neg_inf": 1,
    }
    assert value(sessions[FIRST], 1, "nonfinite", "max", "") == 2


def test_what_was_logged(sessions: dict[str, v1_decoder.Session]) -> None:
    first, second, third = sessions[FIRST].rows
    assert first.scalars == {"loss": (2, 4.0, 1.5, 2.5), "lr": (1, 0.001, 0.001, 0.001)}
    assert second.scalars["loss"][0] == 1
    assert all(map(math.isnan, second.scalars["loss"][1:]))
    assert third.scalars == {}


def test_our_reader_says_the_same_as_the_document(run: Run, sessions: dict[str, v1_decoder.Session]) -> None:
    timeline = run.timeline("gradients")
    for read, until in zip(timeline.sessions, timeline.until, strict=True):
        session = sessions[read.schema.session]
        surviving = [row for row in session.rows if row.start < until]
        assert [node.name for node in read.schema.nodes] == [node["name"] for node in session.about["nodes"]]
        assert [node.kind for node in read.schema.nodes] == [node["kind"] for node in session.about["nodes"]]
        rows, nodes = read.cover(0), np.arange(len(read.schema.nodes))
        assert rows.recorded.tolist() == (rows.stop - rows.start).tolist()
        for name in read.metrics:
            theirs = np.array([row.metrics[name] for row in surviving]).transpose(1, 0, 2)
            np.testing.assert_allclose(read.metric(name, range(3), rows, nodes), theirs, rtol=1e-12, atol=0)
        steps = np.array([row.steps for row in surviving]).transpose(1, 0, 2)
        steps[2] = np.where(steps[2] == NO_STEP, NEVER, steps[2] + rows.start[:, None])
        assert np.array_equal(read.steps(range(3), rows, nodes), steps)
        counts = np.array([[row.counts[name] for name in read.schema.counts] for row in surviving])
        assert np.array_equal(read.counts(range(len(read.schema.counts)), rows, nodes), counts.transpose(1, 0, 2))
        for index, row in enumerate(surviving):
            logged = {name: (one.count, one.sum, one.min, one.max) for name, one in read.scalars(rows, index).items()}
            assert repr(logged) == repr(row.scalars)
            assert len(read.notes(rows, index)) == len(row.notes)


def test_two_sessions_are_one_history(run: Run) -> None:
    timeline = run.timeline("gradients")
    assert (timeline.first, timeline.end, timeline.cell) == (0, 32, 10)
    assert timeline.tree.names[:5] == ("", "embed", "blocks", "head2", "head")
    shown = timeline.cells("norm", np.arange(len(timeline.tree)), Grid(0, 10, 4)).max
    column = {name: i for i, name in enumerate(timeline.tree.names)}
    assert shown[column["head.weight"]] == pytest.approx([40 * EVEN, 4 * EVEN, np.nan, np.nan], rel=CODE, nan_ok=True)
    assert shown[column["head2.weight"]] == pytest.approx([np.nan, np.nan, 40, 40], rel=CODE, nan_ok=True)


def test_the_files_say_nothing_of_where_they_were_made() -> None:
    for path in FOLDER.iterdir():
        data = path.read_bytes()
        assert len(data) < 8192
        for word in (b"/work", b"/home", b"/root", b"/tmp"):
            assert word not in data
