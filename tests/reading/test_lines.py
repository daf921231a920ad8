"""The long format, against values computed from the gradients themselves."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth import open_run
from tb_gradhealth.reading.choose import AskedError
from tb_gradhealth.reading.opened import OpenRun
from tb_gradhealth.store.archive import SCHEMA, Entry
from tb_gradhealth.store.cache import Cache
from tb_gradhealth.store.history import SPAN_ROWS
from tb_gradhealth.store.records import read_records
from tests.planted import BAD, MISSING, NODES, RELATIVE, ROWS, SPIKE, STEPS, Planted, over, planted
from tests.synthetic import Recording, recorded


def test_long_format(run: OpenRun, truth: Planted) -> None:
    lines = list(run.rows(metrics=["norm", "nonfinite"]))
    assert [(line["start"], line["stop"]) for line in lines] == [row for row in ROWS for _ in NODES]
    norms = {node: [over(truth.norm(node), c, ROWS) for c in (None, np.minimum, np.maximum)] for node in NODES}
    for number, line in enumerate(lines):
        row, node = number // len(NODES), line["node"]
        mean, low, high = (values[row] for values in norms[node])
        if np.isnan(mean):
            assert [line[f"norm_{name}"] for name in ("mean", "min", "max")] == [None] * 3
        else:
            found = [line["norm_mean"], line["norm_min"], line["norm_max"]]
            np.testing.assert_allclose(found, [mean, low, high], RELATIVE)
        first, stop = ROWS[row]
        with_data = [step for step in range(first, stop) if node != "head.weight" and node != "head"]
        with_data = with_data or [step for step in range(first, stop) if not MISSING[0] <= step < MISSING[1]]
        bad = [step for step, _, _ in BAD if first <= step < stop and node in ("", "embed")]
        assert line["recorded"] == stop - first
        assert line["with_data"] == len(with_data)
        assert line["first_bad"] == (min(bad) if bad else None)
        kinds = [value for step, _, value in BAD if step in bad]
        assert line["nan"] == sum(np.isnan(value) for value in kinds)
        assert (line["pos_inf"], line["neg_inf"]) == (kinds.count(np.inf), kinds.count(-np.inf))
        missing = 6 * (stop - first - len(with_data)) if node in ("head", "head.weight") else 0
        in_total = 6 * len([step for step in range(first, stop) if MISSING[0] <= step < MISSING[1]])
        assert line["count"] == 6 * len(truth.inside(node)) * (stop - first) - (in_total if node == "" else missing)


def test_pandas_has_the_same_lines(run: OpenRun) -> None:
    frame = run.to_pandas(metrics="norm", nodes=["embed", "head"])
    lines = list(run.rows(metrics="norm", nodes=["embed", "head"]))
    assert list(frame.columns) == list(lines[0])
    for column in frame.columns:
        values = frame[column].astype(object).where(frame[column].notna(), None).tolist()
        assert values == [line[column] for line in lines]
    assert str(frame["first_bad"].dtype) == "Int64"
    assert str(frame["node"].dtype) == "category"


def test_an_empty_frame_has_the_columns(run: OpenRun) -> None:
    frame = run.to_pandas(steps=(500, 600))
    assert len(frame) == 0
    assert list(frame.columns) == list(run.to_pandas(steps=(0, 10)).columns)


def test_coarser_rows(run: OpenRun, truth: Planted) -> None:
    for asked in ({"level": 1}, {"width": 9}, {"width": 1}):
        (line,) = run.rows(nodes="blocks.1.attn.weight", metrics="norm", **asked)
        assert (line["start"], line["stop"], line["recorded"]) == (0, STEPS, STEPS)
        norm = truth.norm("blocks.1.attn.weight")
        expected = [norm.mean(), norm.min(), norm.max()]
        np.testing.assert_allclose([line["norm_mean"], line["norm_min"], line["norm_max"]], expected, RELATIVE)
    assert len(list(run.rows(nodes="", width=len(ROWS)))) == len(ROWS)


def test_a_level_or_a_width(run: OpenRun) -> None:
    with pytest.raises(AskedError, match="leave one out"):
        run.lines(level=1, width=5)
    with pytest.raises(AskedError, match="level: expected 0 to "):
        run.lines(level=99)


def test_a_rewind_into_the_middle_of_a_row(tmp_path: Path) -> None:
    first = planted().recording
    first.write(tmp_path / "gradhealth", archive=True)
    again = Recording(recorded(20), start=47, session="f" * 16, wall_time=first.wall_time + 1)
    again.write(tmp_path / "gradhealth", archive=True)
    run = open_run(tmp_path)
    expected = [(0, 10), (10, 20), (20, 30), (30, 40), (40, 47), (47, 50), (50, 60), (60, 67)]
    assert list(map(tuple, run.read().steps.tolist())) == expected
    lines = itertools.islice(run.rows(nodes="", metrics="norm"), 100)
    assert [(line["start"], line["stop"]) for line in lines] == expected
    lines = itertools.islice(run.rows(nodes="", level=1), 100)
    assert [(line["start"], line["stop"]) for line in lines] == [
        (0, 10),
        (10, 20),
        (20, 30),
        (30, 40),
        (40, 47),  # what level 1 has of it reaches far beyond the restart
        (47, 67),
    ]
    assert [(one.start, one.stop) for one in run.sessions] == [(0, STEPS), (47, 67)]


def test_a_deleted_archive_leaves_what_the_events_have(tmp_path: Path) -> None:
    truth = planted(every=1)
    truth.recording.write(tmp_path / "gradhealth", archive=True, event_bytes=1)
    run = open_run(tmp_path)
    assert run.full
    for segment in tmp_path.rglob("gradients.L0-*"):
        segment.unlink()
    left = run.to_pandas(nodes="blocks.1.attn.weight", metrics="norm")
    assert (left["stop"] - left["start"]).max() > 1
    assert left["recorded"].sum() == STEPS
    np.testing.assert_allclose(left["norm_max"].max(), truth.norm("blocks.1.attn.weight")[SPIKE], RELATIVE)
    assert not open_run(tmp_path).full


def test_coarser_rows_for_damaged_ones_give_no_step_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = range(5, 1505)
    recording = Recording(np.repeat(recorded(1), len(steps), axis=0), every=1, block=100, start=steps.start)
    recording.write(tmp_path / "gradhealth", archive=True, event_bytes=100_000, together=64)
    (index,), (segment,) = tmp_path.rglob("*.index"), tmp_path.rglob("*.L0-*")
    with index.open("rb") as file:
        records = [data for data, _ in read_records(file)]
    entries = [Entry.decode(data) for data in records if data and not data.startswith(SCHEMA)]
    (hit,) = (e for e in entries if e.level == 0 and e.table["start"][0] == steps.start + 3 * SPAN_ROWS)
    begin = int(hit.table["start"][0]) + 5

    lines = open_run(tmp_path).rows(nodes="", metrics="norm", steps=(begin - SPAN_ROWS, None))
    found = list(itertools.islice(lines, SPAN_ROWS))  # some rows of the group
    content = bytearray(segment.read_bytes())
    content[hit.offset : hit.offset + hit.size] = bytes(hit.size)
    segment.write_bytes(content)
    monkeypatch.setattr("tb_gradhealth.store.sessions.CACHE", Cache())  # as if others had been read meanwhile
    found += list(lines)
    intervals = [(line["start"], line["stop"]) for line in found]
    assert intervals[0][0] == begin - SPAN_ROWS
    assert intervals[-1][1] == steps.stop
    assert intervals[SPAN_ROWS] == (begin, begin // 16 * 16 + 16), "what is left of the coarser row"
    assert all(one[1] == other[0] for one, other in itertools.pairwise(intervals))
    assert all(line["recorded"] == line["with_data"] == line["stop"] - line["start"] for line in found)
