"""Where recorded runs are: a directory of event files of ours, found from what a person names."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ..store.archive import DIRECTORY as ARCHIVE
from ..store.files import event_files
from ..store.format import PLUGIN

#: Every tag of ours begins so, and stands in the file as it is.
_MARK = f"{PLUGIN}/".encode()
_PIECE = 1 << 20
#: Runs that an error names, of at most so many directories looked into.
NAMED, LOOKED_INTO = 5, 10_000


def archive_files(directory: Path) -> list[Path]:
    """All files of the archive beside a run's event files, in which nothing is a link."""
    root = directory / ARCHIVE
    if root.is_symlink():
        return []
    found = (Path(parent, name) for parent, _, names in os.walk(root) for name in names)
    return sorted(path for path in found if _is_regular(path))


def holds_run(directory: Path) -> bool:
    """Whether a writer of ours has written into ``directory`` itself."""
    return any(map(_is_ours, event_files(directory))) or bool(archive_files(directory))


def last_written(directory: Path) -> float:
    """When a run's files were last written to, in seconds since the epoch; 0 where there is none."""
    times = [0.0]
    for file in (*event_files(directory), *archive_files(directory)):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, as a full archive does
            times.append(file.stat().st_mtime)
    return max(times)


def runs_below(root: Path, looked_into: Callable[[int], None] = lambda _: None) -> Iterator[Path]:
    """Directories at or below ``root`` that hold a run, parents first, by name; links are not followed.
    ``looked_into`` is told how many directories were."""
    for number, directory in enumerate(_directories(root), 1):
        looked_into(number)
        if holds_run(directory):
            yield directory


def event_directory(path: str | os.PathLike[str]) -> Path:
    """The directory that holds the run ``path``: its subdirectory ``gradhealth``, or ``path`` itself.

    Raises FileNotFoundError where there is no run, naming those further below.
    """
    named = Path(path).expanduser()
    for directory in (named / PLUGIN, named):
        if holds_run(directory):
            return directory
    if not named.is_dir():
        came = "which is a file" if named.exists() else "which does not exist"
        raise FileNotFoundError(f"expected the directory of a recorded run, got {str(named)!r}, {came}")
    below = (one for one in itertools.islice(_directories(named), LOOKED_INTO) if holds_run(one))
    found = [str(named / label(one, named)) for one in itertools.islice(below, NAMED + 1)]
    more = ", …" if len(found) > NAMED else ""
    advice = f"there are runs below it: {', '.join(map(repr, found[:NAMED]))}{more}" if found else "nor is one below it"
    raise FileNotFoundError(f"expected the directory of a recorded run, but {str(named)!r} holds none; {advice}")


def label(directory: Path, root: Path) -> str:
    """What to call the run in ``directory``: its path from ``root``, without the subdirectory that we made."""
    named = directory.parent if directory.name == PLUGIN and directory != root else directory
    return named.relative_to(root).as_posix()


def _directories(root: Path) -> Iterator[Path]:
    for parent, names, _ in os.walk(root):
        names[:] = sorted(name for name in names if name != ARCHIVE)
        yield Path(parent)


def _is_regular(path: Path) -> bool:
    """Neither a link nor a pipe, which would be waited for without end."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_ours(path: Path) -> bool:
    """Whether a tag of ours may be in an event file; other writers' files can be large, so nothing is decoded."""
    try:
        with path.open("rb") as file:
            tail = b""
            while piece := file.read(_PIECE):
                if _MARK in tail + piece:
                    return True
                tail = piece[-len(_MARK) :]
    except OSError:
        pass
    return False
