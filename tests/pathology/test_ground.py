"""The ground from end to end: real trainings, recorded, labelled, judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.__main__ import main
from bench.diagnosis import trial
from bench.diagnosis.judges import JUDGES, olmo
from bench.diagnosis.judges.evidence import Evidence
from bench.diagnosis.judges.judge import STREAMS, opened
from bench.diagnosis.making import Run, make
from bench.diagnosis.scoring import judge_all, score
from tb_gradhealth import open_run
from tests.pathology.sample import SAMPLE, sample


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return sample(tmp_path_factory)


def test_labels_are_by_effect(runs: list[Run]) -> None:
    plain, clipping, nan, dead = (run.label for run in runs)
    assert [plain.verdict, clipping.verdict, nan.verdict, dead.verdict] == ["healthy", "healthy", "sick", "sick"]
    assert plain.worse == 0.0
    assert (nan.worse, nan.mechanisms) == (None, {"NUMERICAL": [""]})
    assert dead.mechanisms["DEAD"] == [dead.nodes[1]]


def test_recording_changes_no_training(runs: list[Run]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    outcome = trial.Trial(SAMPLE[3], None).run()
    torch.set_num_threads(threads)
    assert trial.saved(runs[3].folder) == outcome


def test_levels_hide_streams(runs: list[Run]) -> None:
    folder = runs[0].folder
    assert opened(folder, "all").streams == open_run(folder).streams
    for level in ("weights", "gradients"):
        assert set(opened(folder, level).streams) == STREAMS[level]
        with pytest.raises(ValueError, match="stream"):
            opened(folder, level).read("activations")
        assert {"loss", "lr"} <= set(opened(folder, level).scalars())


def test_our_diagnosis_finds_the_sick_and_leaves_the_healthy_alone(runs: list[Run]) -> None:
    found = score(judge_all(runs, JUDGES["ours"], "all", str), "all")
    assert (found.recall.some, found.recall.all) == (2, 2)
    assert (found.false.some, found.false.all) == (0, 2)
    dead = score(judge_all(runs[3:], JUDGES["ours"], "all", str), "all")  # a NaN is everywhere by the end of its row
    assert (dead.first.some, dead.first.all) == (1, 1)


@pytest.mark.parametrize("name", ["fixed thresholds", "smdebug", "OLMo 6 sigma"])
def test_peers_see_the_nan_in_the_row_it_comes_in(runs: list[Run], name: str) -> None:
    nan = runs[2]
    alarms = [alarm for alarm in JUDGES[name](opened(nan.folder, "gradients")) if alarm.type == "NUMERICAL"]
    onset = nan.label.onset_step
    assert onset <= min(alarm.detected for alarm in alarms) < onset + nan.label.every


def test_six_sigma_is_that_of_torch(runs: list[Run]) -> None:
    """As in OLMo-core's ``get_step_factor``, with ``torch.std_mean`` over what came before."""
    norms = Evidence(opened(runs[0].folder, "gradients")).whole("norm")
    norms[40] *= 20.0
    above = olmo._above(norms, 32)
    for row in range(2, len(norms)):
        std, mean = torch.std_mean(torch.tensor(norms[max(0, row - 32) : row]))
        assert above[row] == bool(norms[row] - mean > 6 * std)
    assert above[40]
    assert np.flatnonzero(above)[0] >= 2


def test_only_what_is_not_there_is_made(runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def record(cell: object, folder: Path) -> None:
        made.append(folder.name)
        shutil.copytree(runs[1].folder, folder, dirs_exist_ok=True)

    monkeypatch.setattr("bench.diagnosis.making.record", record)
    shutil.copytree(runs[0].folder, tmp_path / runs[0].folder.name)
    (tmp_path / runs[1].folder.name).mkdir()  # a training that was interrupted
    older = json.loads((runs[2].folder / trial.OUTCOME).read_text()) | {"edition": trial.EDITION - 1}
    (tmp_path / runs[2].folder.name).mkdir()
    (tmp_path / runs[2].folder.name / trial.OUTCOME).write_text(json.dumps(older))
    assert len(make(SAMPLE[:3], tmp_path)) == 3
    assert made == [run.folder.name for run in runs[1:3]]


def test_command_prints_each_table_thrice(runs: list[Run], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, result = runs[0].folder.parent, tmp_path / "result.json"
    main(["diagnosis", "--part", "development", "--there", "--folder", str(folder), "--json", str(result)])
    printed = capsys.readouterr().out
    for title in ("all streams", "gradients + weights + updates", "gradients alone"):
        assert f"\n{title}" in printed
    for name in JUDGES:
        assert name in printed
    written = json.loads(result.read_text())["development"]
    assert {one["name"] for one in written["runs"]} == {run.label.name for run in runs}
    assert set(written["scores"]) == set(STREAMS)
