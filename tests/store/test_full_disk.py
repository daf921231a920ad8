"""A disk that is full, for a while or for good, leaves a sound file and no half record."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from tb_gradhealth.store.records import EventFile, read_events


def event(step: int, size: int = 1000) -> Event:
    made = Event(step=step)
    made.summary.value.add(tag="x").tensor.tensor_content = bytes(size)
    return made


def steps(path: Path) -> list[int]:
    """Steps of the events that are in the file, as we and as TensorBoard read it."""
    ours = [event.step for event, _ in read_events(path) if event is not None and not event.file_version]
    theirs = [event.step for event in EventFileLoader(str(path)).Load() if not event.file_version]
    assert ours == theirs
    return ours


def append_all(file: EventFile, wanted: Iterable[int]) -> tuple[list[int], set[int | None]]:
    """The steps that could be written, and the errors of the others."""
    written, failures = [], set()
    for step in wanted:
        try:
            file.append(event(step))
            written.append(step)
        except OSError as failure:
            failures.add(failure.errno)
    return written, failures


class Disk:
    """``os.write`` onto a disk with ``room`` bytes left, which takes what fits and then fails."""

    def __init__(self, room: int, error: int = errno.ENOSPC) -> None:
        self.room, self.error, self._write = room, error, os.write

    def write(self, fd: int, data: Any) -> int:
        if self.room == 0 and len(data):
            raise OSError(self.error, os.strerror(self.error))
        taken = self._write(fd, bytes(data[: self.room]))
        self.room -= taken
        return taken


@pytest.mark.parametrize("room", [0, 1, 10, 40, 41, 500, 1100, 1200, 2300])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_half_way_leaves_no_trace_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, error: int
) -> None:
    disk, file = Disk(room, error), EventFile(tmp_path, "0123abcd")
    monkeypatch.setattr("tb_gradhealth.store.records.os.write", disk.write)
    written, failures = append_all(file, range(4))
    assert failures <= {error}
    assert len(written) == max(0, (room - 40) // 1040)
    assert steps(file.path) == written
    last = max((offset for _, offset in read_events(file.path)), default=0)
    assert file.path.stat().st_size == last, "half a record would be taken for damage, were it never written over"
    disk.room = 10**9
    file.append(event(7, size=10))
    file.close()
    assert steps(file.path) == [*written, 7]
    assert next(read_events(file.path))[0].file_version == "brain.Event:2"  # type: ignore[union-attr]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("tb_gradhealth.store.records.os.write", lambda fd, data: write(fd, bytes(data[:7])))
    file = EventFile(tmp_path, "0123abcd")
    file.append(event(3))
    file.close()
    assert steps(file.path) == [3]


def test_a_directory_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    file = EventFile(tmp_path / "run" / "gradhealth", "0123abcd")
    with pytest.raises(OSError, match="run"):
        file.append(event(0))
    (tmp_path / "run").unlink()
    file.append(event(1))
    file.close()
    assert steps(file.path) == [1]


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    mount = shutil.which("mount")
    where = tmp_path / "tiny"
    where.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "none", str(where)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs more rights than this process has")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_real_full_disk(tiny: Path) -> None:
    ballast = tiny / "ballast"
    ballast.write_bytes(bytes(40 << 10))
    file = EventFile(tiny, "0123abcd")
    written, failures = append_all(file, range(40))
    assert failures == {errno.ENOSPC}
    assert 5 < len(written) < 40
    assert steps(file.path) == written
    ballast.unlink()
    file.append(event(100))
    file.close()
    assert steps(file.path) == [*written, 100]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.store.test_full_disk import event
from tb_gradhealth.store.records import EventFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
file, failed = EventFile(Path(sys.argv[1]), "0123abcd"), 0
for step in range(10):
    try:
        file.append(event(step))
    except OSError:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.append(event(10))
print(file.path, failed)
"""


def test_a_real_limit_on_the_size_of_a_file(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("this process is limited already")
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    path, failed = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ).stdout.split()
    assert int(failed) == 6
    assert steps(Path(path)) == [0, 1, 2, 3, 10]
