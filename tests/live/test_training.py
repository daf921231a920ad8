"""Trainings through the writer: what is found while they run is what is found in their files, and reaches people."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.diagnosis import SEVERITIES, diagnose
from tb_gradhealth.findings import Finding
from tb_gradhealth.live.actions import LEVELS, TrainingStopped

from .trainings import Training, key

STREAMS = ["weights", "updates", "spectrum", "dead_rows"]


@pytest.mark.parametrize(("onset", "every"), [(26, 2), (None, 2), (20, 1)])
def test_what_is_found_live_is_what_the_files_show(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, onset: int | None, every: int
) -> None:
    caplog.set_level(logging.DEBUG, "tb_gradhealth")
    told: list[Finding] = []
    streams = {"streams": STREAMS, "activations": "auto"} if every > 1 else {}
    training = Training(onset, tmp_path, every=every, on_finding=["log", told.append], **streams).run(50)
    monitor = training.optimizer.gradhealth
    monitor.close()
    offline = diagnose(tmp_path)
    assert (monitor.problems, offline.problems) == (0, ())
    assert monitor.findings == offline.findings
    run = open_run(tmp_path)
    assert (run.findings, run.problems) == (offline.findings, [])
    alarms = [one for one in offline.findings if one.severity != "notice"]
    assert bool(alarms) == (onset is not None)
    # Each phase of a finding once, and again only where it got graver.
    assert {key(one) for one in told} == {key(one) for one in offline.findings}
    for number, one in enumerate(told):
        before = [SEVERITIES.index(other.severity) for other in told[:number] if key(other) == key(one)]
        assert SEVERITIES.index(one.severity) < min(before, default=len(SEVERITIES))
    logged = [record.levelno for record in caplog.records if record.threadName == "gradhealth-diagnosis"]
    loud = [LEVELS[one.severity] for one in told]
    assert len(logged) == len(loud)
    assert all(a == b or (one.follows and a == logging.INFO) for a, b, one in zip(logged, loud, told, strict=True))
    assert max(logged, default=0) == max(loud, default=0)


def test_a_finding_is_in_the_file_when_it_is_told(tmp_path: Path) -> None:
    missing = []

    def look(finding: Finding) -> None:
        missing.extend({key(finding)} - {key(one) for one in open_run(tmp_path).findings})
        told.append(finding)

    told: list[Finding] = []
    Training(20, tmp_path, every=2, on_finding=look).run(40).optimizer.gradhealth.close()
    assert told
    assert missing == []


CHILD = """
import sys, time
from types import SimpleNamespace
import numpy as np
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tb_gradhealth.diagnosis import RULES
from tb_gradhealth.live.diagnosing import Diagnosing
from tb_gradhealth.live.recording import Recording as Recorder
from tb_gradhealth.sinks import SummaryWriterSink
from tests.synthetic import SESSION, Recording, gradients, measured
elements = gradients(30, 2)
elements[20, 1] = np.nan
one = Recording(measured(elements), names=("a.b", "c"), every=1)
writer = SimpleNamespace(file_writer=EventFileWriter(sys.argv[1], flush_secs=10**6))
def tell(finding):
    print(finding.rule, finding.node, finding.start, flush=True)
recorder = Recorder(SummaryWriterSink(writer), SESSION, 0, one.wall_time, 1 << 20)
lane = Diagnosing(RULES, recorder, tell, lambda findings: None, print).begin(one.schema, one.tree)
for row in one.rows():
    lane.add(row)
time.sleep(600)
"""


def test_what_was_told_outlives_a_kill_in_the_file_of_a_summary_writer(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        told = child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    recorded = [f"{one.rule} {one.node} {one.start}" for one in open_run(tmp_path).findings]
    assert "nonfinite c 20" in told.splitlines()
    assert set(told.splitlines()) <= set(recorded)


def test_stop_raises_behind_a_step_that_is_complete(tmp_path: Path) -> None:
    training = Training(20, tmp_path, every=2, on_finding=["log", "stop:high"])
    with pytest.raises(TrainingStopped, match="EXPLODING in ") as stopped:
        training.run(100_000)
    assert stopped.value.finding.severity in ("critical", "high")
    twin = Training(20).run(training.steps)
    for one, other in zip(training.left(), twin.left(), strict=True):
        assert torch.equal(one, other)
    assert training.optimizer.gradhealth.step == training.steps
    training.optimizer.gradhealth.close()
    training.optimizer.step()  # nobody stops what is not watched any more


def test_stop_waits_for_all_optimizers_of_a_step(tmp_path: Path) -> None:
    told: list[Finding] = []
    models = [torch.nn.Linear(4, 1, bias=False) for _ in range(2)]
    first, second = (torch.optim.SGD(model.parameters(), 1e-3) for model in models)
    one: Any = GradHealthWriter(first, models[0], logdir=tmp_path, every=1, on_finding=["stop", told.append])
    other = GradHealthWriter(second, models[1], beside=one, prefix="other.")
    steps = [0, 0]
    with pytest.raises(TrainingStopped):
        for step in range(100_000):
            for model in models:
                (parameter,) = model.parameters()
                parameter.grad = torch.full_like(parameter, float("nan") if step > 3 else 1.0)
            until = time.monotonic() + 10
            while step == 6 and not told and time.monotonic() < until:
                time.sleep(0.01)
            steps[0] += 1
            one.step()
            steps[1] += 1
            other.step()
    one.gradhealth.close()
    assert steps == [7, 7]


def test_a_function_that_raises_is_told_of_once(tmp_path: Path) -> None:
    def broken(finding: Finding) -> None:
        told.append(finding)
        raise KeyError("no such channel")

    told: list[Finding] = []
    with pytest.warns(UserWarning, match=r"on_finding: KeyError: 'no such channel'\. Training goes on"):
        monitor = Training(20, tmp_path, every=2, on_finding=broken).run(50).optimizer.gradhealth
        monitor.close()
    assert len(told) > 1
    assert monitor.problems == 1


def test_a_rewind_takes_back_what_was_found_behind_it(tmp_path: Path) -> None:
    training = Training(20, tmp_path, every=2, diagnose={"skip": ["plateau"]}).run(50)
    monitor = training.optimizer.gradhealth
    monitor.load_state_dict({"step": 16})
    training.optimizer.param_groups[0]["lr"] = 0.0
    training.run(4)
    monitor.close()
    assert monitor.findings == open_run(tmp_path).findings
    assert all(one.detected < 20 for one in monitor.findings)


def test_without_a_diagnosis_nothing_is_looked_for(tmp_path: Path) -> None:
    training = Training(5, tmp_path, every=2, diagnose=False).run(30)
    monitor = training.optimizer.gradhealth
    monitor.close()
    assert monitor.findings == open_run(tmp_path).findings == ()
    assert not any(b"/findings" in path.read_bytes() for path in tmp_path.glob("gradhealth/*tfevents*"))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"diagnose": 3}, TypeError, "diagnose: expected True, False, a TOML file or a mapping of settings, got int"),
        ({"diagnose": "no/such.toml"}, ValueError, "diagnose: expected a TOML file of settings, but"),
        ({"diagnose": {"rules": {"x": {}}}}, ValueError, "diagnose: there is no rule 'x': expected one of nonfinite, "),
        ({"diagnose": {"skip": "plateau"}}, ValueError, "diagnose: skip: expected a list of rules, got 'plateau'"),
        ({"on_finding": "halt"}, ValueError, "on_finding: expected 'log', 'warn', 'stop', a function of a finding"),
        ({"on_finding": ["log", "stop:now"]}, ValueError, "on_finding: expected stop: and one of critical, high, "),
        ({"on_finding": [3]}, TypeError, "on_finding: expected 'log', 'warn', 'stop', a function of a finding"),
        ({"on_finding": "log", "diagnose": False}, ValueError, "on_finding: expected a diagnosis that finds something"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        Training(None, tmp_path, **options)
    assert text in str(raised.value)
