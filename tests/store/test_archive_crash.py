"""Kills, failing calls and full disks: what was flushed is found, each row once, at every moment."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tb_gradhealth.store import archive_writer
from tb_gradhealth.store.archive_reader import Archive
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.records import read_records

from .test_archive import SESSION, STREAM, damaged_segments, expected, files, give, make_schema, opened, read, starts

ROWS, GROUP = 20, 4
CALLS = ("open", "write", "fsync", "unlink", "mkdir", "ftruncate")


class Killed(BaseException):
    """Nothing runs behind this: what the writer does about an OSError, it does not do now."""


class System:
    """The calls that change files; before each, ``meet`` is told its number and name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meet: Callable[[int, str], None]) -> None:
        self.calls = 0
        self._busy = False
        for name in CALLS:
            monkeypatch.setattr(os, name, self._met(name, getattr(os, name), meet))

    def _met(self, name: str, call: Any, meet: Callable[[int, str], None]) -> Any:
        def called(*args: Any, **options: Any) -> Any:
            if self._busy or (name == "open" and not args[1] & os.O_CREAT):
                return call(*args, **options)
            self.calls, self._busy = self.calls + 1, True
            try:
                meet(self.calls, name)
            except BaseException:
                if name == "write":
                    call(args[0], bytes(args[1])[: len(args[1]) // 2])
                raise
            finally:
                self._busy = False
            return call(*args, **options)

        return called


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_writer, "GROUP_ROWS", GROUP)


def work(writer: ArchiveWriter, flushed: Callable[[int], None] = lambda count: None) -> None:
    """Rows of two levels, flushed one, two or five at a time."""
    done = 0
    for number in range(ROWS):
        give(writer, number)
        if number % 8 in (0, 2, 7):
            writer.flush()
            flushed(done := number + 1)
    assert done < ROWS
    writer.close()
    flushed(ROWS)


def check(directory: Path, least: int) -> int:
    """How many rows there are: a prefix, each once, at least ``least``."""
    found = starts(directory)
    assert found == list(range(len(found)))
    assert len(found) >= least
    coarse = starts(directory, 1)
    assert coarse == list(range(len(coarse)))
    return len(found)


def test_at_every_moment_each_row_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the directory had been copied between any two calls; with a fresh reader, and with one that follows."""
    seen, follower = [0], Archive(tmp_path)

    def meet(number: int, name: str) -> None:
        check(tmp_path, seen[0])
        follower.update()
        assert starts(follower) == starts(tmp_path)

    with monkeypatch.context() as patch:
        system = System(patch, meet)
        work(ArchiveWriter(tmp_path, make_schema(), None), lambda count: seen.__setitem__(0, count))
    assert system.calls > 40
    assert seen == [ROWS]
    assert (read(tmp_path), follower.problems) == (expected(range(ROWS)), [])


def calls_of_work(directory: Path) -> list[str]:
    met: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        System(patch, lambda number, name: met.append(name))
        work(ArchiveWriter(directory, make_schema(), None))
    return met


def test_killed_in_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of_work(tmp_path / "whole")
    assert set(calls) == set(CALLS) - {"ftruncate"}
    for last in range(1, len(calls) + 1):
        directory, flushed = tmp_path / str(last), [0]

        def meet(number: int, name: str, last: int = last) -> None:
            if number == last:
                raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            System(patch, meet)
            work(
                ArchiveWriter(directory, make_schema(), None),
                lambda count, flushed=flushed: flushed.__setitem__(0, count),  # type: ignore[misc]
            )
        assert read(directory) == expected(range(check(directory, flushed[0])))
        shutil.rmtree(directory, ignore_errors=True)


def records_of_segments(directory: Path) -> int:
    count = 0
    for path in directory.glob("*/*.L*"):
        with path.open("rb") as file:
            count += len(list(read_records(file)))
    return count


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_any_calls_may_fail_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, error: int
) -> None:
    """``length`` calls in a row, whichever they are; with cutting back among them, too."""
    calls = calls_of_work(tmp_path / "whole")
    for first in range(1, len(calls) + 1, 1 if length == 2 else 3):
        directory, flushed, failures = tmp_path / str(first), 0, list[int | None]()

        def meet(number: int, name: str, first: int = first) -> None:
            if first <= number < first + length:
                raise OSError(error, os.strerror(error))

        with monkeypatch.context() as patch:
            system = System(patch, meet)
            writer, follower = ArchiveWriter(directory, make_schema(), None), Archive(directory)
            for number in range(ROWS):
                give(writer, number)
                if number % 8 in (0, 2, 7):
                    try:
                        writer.flush()
                        flushed = number + 1
                    except OSError as failure:
                        failures.append(failure.errno)
                    system._busy = True
                    check(directory, flushed)
                    follower.update()
                    assert starts(follower) == starts(directory)
                    system._busy = False
            while len(failures) <= length:
                try:
                    writer.close()
                    break
                except OSError as failure:
                    failures.append(failure.errno)
        assert 0 < len(failures) <= length
        assert set(failures) == {error}
        assert read(directory) == expected(range(ROWS)) == read(follower if follower.update() else directory)
        assert read(directory, 1) == expected([0], 1)
        assert not [name for name in files(directory) if "journal" in name]
        assert damaged_segments(directory) == []
        if length == 1:  # else the cutting back may have failed, too, which costs room alone
            assert records_of_segments(directory) == len(opened(directory).streams[SESSION, STREAM].parts)
        shutil.rmtree(directory)


CHILD = """
import sys
from pathlib import Path
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tests.store.test_archive import give, make_schema
writer, number = ArchiveWriter(Path(sys.argv[1]), make_schema(), None), 0
while True:
    give(writer, number, 3)
    writer.flush()
    number += 1
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 64, 100, 310])
def test_a_process_that_is_killed(tmp_path: Path, after: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        last = 0
        while last < after:
            last = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        last = max([last, *(int(line) for line in child.stdout.read().splitlines(True) if line.endswith("\n"))])
    assert child.returncode == -signal.SIGKILL
    assert read(tmp_path) == expected(range(check(tmp_path, last)))
    assert damaged_segments(tmp_path) == []


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 192 KiB."""
    mount, where = shutil.which("mount"), tmp_path / "tiny"
    where.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=192k", "none", str(where)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs more rights than this process has")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.parametrize("room", [8, 20, 56, 80])
def test_a_real_full_disk(tiny: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(archive_writer, "GROUP_ROWS", 64)
    ballast = tiny / "ballast"
    ballast.write_bytes(bytes((192 - room) << 10))
    writer, failures, written, number = ArchiveWriter(tiny / "archive", make_schema(), None), set(), 0, 0
    while len(failures) == 0 or number % 40:
        give(writer, number)
        number += 1
        try:
            writer.flush()
            written = number
        except OSError as failure:
            failures.add(failure.errno)
        if number % 5 == 0:
            check(tiny / "archive", written)
    assert failures == {errno.ENOSPC}
    assert read(tiny / "archive") == expected(range(check(tiny / "archive", written)))
    ballast.unlink()
    for last in range(number, number + 70):
        give(writer, last)
        writer.flush()
    writer.close()
    assert read(tiny / "archive") == expected(range(number + 70))
    assert damaged_segments(tiny / "archive") == []


def test_a_file_system_that_turns_read_only(tiny: Path) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how},size=4m", str(tiny)], check=True)

    writer = ArchiveWriter(tiny / "archive", make_schema(), None)
    remount("ro")
    give(writer, 0)
    for _ in range(2):
        with pytest.raises(OSError, match="Read-only"):
            writer.flush()
    remount("rw")
    for number in range(1, 20):
        give(writer, number)
        writer.flush()
    writer.close()
    remount("ro")
    assert read(tiny / "archive") == expected(range(20))
    remount("rw")


def test_what_a_child_inherits_is_left_alone(tmp_path: Path) -> None:
    """A forked process that has the writer, and drops it, neither writes nor is a reason to write anything twice."""
    writer = ArchiveWriter(tmp_path, make_schema(), None)
    for number in range(10):
        give(writer, number)
        if number % 3 == 0:
            writer.flush()
    before = files(tmp_path)
    child = os.fork()
    if child == 0:
        del writer
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert files(tmp_path) == before
    writer.close()
    assert read(tmp_path) == expected(range(10))
