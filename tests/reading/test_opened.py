"""``open_run``: finding a run, and what there is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tb_gradhealth
from tb_gradhealth import open_run
from tb_gradhealth.reading.choose import AskedError
from tb_gradhealth.reading.opened import OpenRun
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.records import EventFile
from tests.planted import NODES, ROWS, STEPS, Planted, planted
from tests.synthetic import NAMES, SESSION, Recording, recorded


def test_what_there_is(run: OpenRun) -> None:
    assert run.streams == ["gradients"]
    assert run.steps == (0, STEPS)
    assert run.metrics["norm"].unit == "L2"
    assert run.full
    assert run.problems == []
    assert {node.name for node in run.nodes} == set(NODES)
    by_name = {node.name: node for node in run.nodes}
    assert (by_name[""].kind, by_name[""].size, by_name[""].shape) == ("total", 6 * len(NAMES), None)
    assert (by_name["blocks.0"].kind, by_name["blocks.0"].size) == ("module", 18)
    assert (by_name["embed"].kind, by_name["embed"].shape, by_name["embed"].dtype) == ("tensor", (6,), "float32")
    assert [(one.id, one.start, one.stop) for one in run.sessions] == [(SESSION, 0, STEPS)]
    assert f"steps [0, {STEPS}), {len(NAMES)} tensors" in repr(run)


def test_what_the_loop_logged(run: OpenRun, truth: Planted) -> None:
    found = run.scalars()
    assert set(found) == {"loss", "lr"}
    logged = truth.recording.logged
    losses = [[100.0 - step for step in logged if first <= step < stop] for first, stop in ROWS]
    assert found["loss"].steps.tolist() == [list(row) for row, values in zip(ROWS, losses, strict=True) if values]
    losses = [values for values in losses if values]
    assert found["loss"].count.tolist() == list(map(len, losses))
    assert found["loss"].mean.tolist() == [sum(values) / len(values) for values in losses]
    assert found["loss"].min.tolist() == list(map(min, losses))
    assert found["loss"].max.tolist() == list(map(max, losses))
    assert found["loss"].to_pandas()["max"].loc[0] == 100.0
    assert found["lr"].steps[-1, 1] == 50
    assert run.scalars(steps=(60, None))["loss"].steps[0].tolist() == [60, 70]


@pytest.mark.parametrize("name", ["exp1", "exp1/gradhealth"])
def test_a_run_by_any_of_its_directories(runs: Path, run: OpenRun, name: str) -> None:
    assert open_run(str(runs / name)).directory == run.directory


def test_a_run_in_the_directory_of_a_summary_writer(tmp_path: Path) -> None:
    planted().recording.write(tmp_path / "exp2")
    assert open_run(tmp_path / "exp2").steps == (0, STEPS)


def test_a_foreign_event_file_beside_the_run(tmp_path: Path, truth: Planted) -> None:
    truth.recording.write(tmp_path / "gradhealth")
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"\0" * 100)
    assert open_run(tmp_path).directory == tmp_path / "gradhealth"


def test_where_there_is_no_run(runs: Path, run: OpenRun, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_run(runs)
    assert f"there are runs below it: {str(runs / 'exp1')!r}" in str(caught.value)
    with pytest.raises(FileNotFoundError, match="nor is one below it"):
        open_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        open_run(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="which is a file"):
        open_run(tmp_path / "file")


def test_refresh_takes_in_what_was_written_since(tmp_path: Path) -> None:
    first = planted().recording
    first.write(tmp_path / "gradhealth")
    run = open_run(tmp_path)
    before = run.read(nodes="")
    assert not run.refresh()
    later = Recording(recorded(20), start=STEPS, session="f" * 16, wall_time=first.wall_time + 1)
    later.write(tmp_path / "gradhealth")
    assert run.refresh()
    assert run.steps == (0, STEPS + 20)
    assert len(run.sessions) == 2
    after = run.read(nodes="").values
    np.testing.assert_array_equal(after[:, : before.values.shape[1]], before.values)


def test_a_run_without_rows_yet(tmp_path: Path) -> None:
    EventTier(EventFile(tmp_path / "gradhealth", SESSION), planted().recording.schema, 1 << 20).flush()
    run = open_run(tmp_path)
    assert run.streams == []
    assert "nothing recorded yet" in repr(run)
    with pytest.raises(AskedError, match="wait for a row"):
        run.read()


PROGRAM = """
import sys
sys.modules["torch"] = sys.modules["triton"] = None  # importing them raises
import tb_gradhealth
run = tb_gradhealth.open_run(sys.argv[1])
print(run.read(nodes="", width=5).values.shape[0], len(list(run.rows(nodes="embed", metrics="norm"))))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_it_needs_no_torch(runs: Path, run: OpenRun) -> None:
    command = [sys.executable, "-c", PROGRAM, str(runs / "exp1")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stdout) == (0, f"1 {len(ROWS)}\n"), done.stderr


def test_without_pandas_the_error_names_the_extra(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for ask in (run.to_pandas, run.read(nodes="").to_pandas, run.scalars()["loss"].to_pandas):
        with pytest.raises(ImportError, match=r"pip install 'tb-gradhealth\[pandas\]'"):
            ask()


def test_the_package_offers_it() -> None:
    assert "open_run" in tb_gradhealth.__all__
    assert "open_run" in dir(tb_gradhealth)
