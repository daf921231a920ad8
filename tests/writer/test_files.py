"""What a real training leaves on the disk: killed, out of space, forked, beside another one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.timeline import Timeline

SECONDS = 60.0

TRAINING = """
import hashlib, sys, time, torch
torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(4)))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)  # so that the spike below does no harm
steps, logdir, options = int(sys.argv[1]), sys.argv[2], eval(sys.argv[3])
if logdir:
    import warnings
    warnings.simplefilter("ignore")
    from tb_gradhealth import GradHealthWriter
    GradHealthWriter(optimizer, model, logdir=logdir, **options)
for step in range(steps):
    optimizer.zero_grad()
    model(torch.randn(4, 8)).square().mean().backward()
    if step == 123:
        model[2].weight.grad[0, 0] = 1e6
    optimizer.step()
    HOOK
state = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
print("done", hashlib.sha256(state).hexdigest(), flush=True)
"""


def child(steps: int, logdir: Path | str, hook: str = "pass", **options: object) -> subprocess.Popen[str]:
    """A training in a process of its own, with ``hook`` after each step."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAINING.replace("HOOK", hook), str(steps), str(logdir), repr(options)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def finished(process: subprocess.Popen[str]) -> str:
    """The hash of the parameters at the end."""
    out, _ = process.communicate(timeout=4 * SECONDS)
    assert process.returncode == 0
    return out.split()[-1]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def gradients(logdir: Path) -> Timeline:
    run = open_directory(logdir / "gradhealth")
    assert run.problems == []
    return run.timeline("gradients")


def recorded(history: Timeline) -> list[tuple[int, int]]:
    """The recorded steps as joined intervals; every row has all its steps."""
    joined: list[tuple[int, int]] = []
    for span in history.rows(0, 1 << 40):
        assert (span.recorded == span.stop - span.start).all()
        for start, stop in zip(span.start.tolist(), span.stop.tolist(), strict=True):
            joined[-1:] = (
                [(joined[-1][0], stop)] if joined and joined[-1][1] == start else [*joined[-1:], (start, stop)]
            )
    return joined


def names_the_spike(history: Timeline) -> bool:
    """Whether the gradient that was made large is the worst inside the whole run."""
    found = history.worst_row("norm", 0, Grid(0, history.end, 1))
    assert found is not None
    tensor, start, stop = found
    return history.tree.names[tensor] == "2.weight" and start <= 123 < stop


@pytest.mark.parametrize("archive", ["all", "off"])
def test_rows_appear_without_a_further_step_and_outlive_kill_9(tmp_path: Path, archive: str) -> None:
    hook = "if step == 150: print('waiting', flush=True); time.sleep(600)"
    with child(400, tmp_path / "exp", hook, archive=archive) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        # The row [140, 150) is handed over when step 150 begins.
        until(lambda: (tmp_path / "exp").is_dir() and open_directory(tmp_path / "exp/gradhealth").streams() != [])
        until(lambda: gradients(tmp_path / "exp").end == 150)
        os.kill(process.pid, signal.SIGKILL)
    history = gradients(tmp_path / "exp")
    assert recorded(history) == [(0, 150)]
    assert history.full
    assert names_the_spike(history)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 512 KiB."""
    mount, where = shutil.which("mount"), tmp_path / "tiny"
    where.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=512k", "none", str(where)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs more rights than this process has")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_full_disk_costs_no_step_and_writing_resumes_when_there_is_space(tiny: Path) -> None:
    bare = finished(child(1000, ""))
    ballast = tiny / "ballast"
    ballast.write_bytes(bytes(470 << 10))
    hook = "step == 500 and (print('half', flush=True), input())"
    with child(1000, tiny / "exp", hook, every=5, archive="all") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        until(lambda: shutil.disk_usage(tiny).free < 20 << 10)
        ballast.unlink()
        process.stdin.write("on\n")
        process.stdin.flush()
        assert finished(process) == bare, "the training is what it is without us, to the bit"
    history = gradients(tiny / "exp")
    assert recorded(history) == [(0, 1000)]
    assert names_the_spike(history)


def test_two_processes_in_one_directory_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The later one counts, and both are there."""
    first = child(300, tmp_path / "exp", "time.sleep(0.005)")
    until(lambda: bool(list((tmp_path / "exp").glob("gradhealth/*tfevents*"))))
    second = child(200, tmp_path / "exp", start_step=100)
    for process in (first, second):
        finished(process)
    run = open_directory(tmp_path / "exp" / "gradhealth")
    assert run.problems == []
    history = run.timeline("gradients")
    assert [session.schema.start_step for session in history.sessions] == [0, 100]
    assert recorded(history) == [(0, 300)]
    assert history.until[0] == 100


def test_a_forked_child_that_trains_on_writes_a_session_of_its_own(tmp_path: Path) -> None:
    hook = "step == 99 and __import__('os').fork()"
    process = child(200, tmp_path / "exp", hook)
    out, _ = process.communicate(timeout=4 * SECONDS)
    assert process.returncode == 0
    until(lambda: len(list((tmp_path / "exp").glob("gradhealth/*tfevents*"))) == 2)
    until(lambda: recorded(gradients(tmp_path / "exp")) == [(0, 200)])
    assert len(gradients(tmp_path / "exp").sessions) == 2
    assert out.count("done") == 2


def test_without_archive_there_is_none_and_a_long_run_is_an_overview(tmp_path: Path) -> None:
    finished(child(1500, tmp_path / "exp", every=1, archive="off", event_bytes=1 << 17))
    assert not (tmp_path / "exp/gradhealth/gradhealth_archive").exists()
    (file,) = (tmp_path / "exp/gradhealth").glob("*tfevents*")
    assert file.stat().st_size < 1 << 17
    history = gradients(tmp_path / "exp")
    assert not history.full
    assert recorded(history) == [(0, 1500)]
    assert names_the_spike(history)
