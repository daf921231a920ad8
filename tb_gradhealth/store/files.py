"""A run's events straight from its files, without TensorBoard: for the command line, the demo and the tests."""

from __future__ import annotations

import stat
from pathlib import Path

from .format import PLUGIN
from .records import read_events
from .source import Content


def event_files(directory: Path) -> list[Path]:
    """What TensorBoard would read, oldest name first. Only regular files: a pipe would be waited for without end."""
    return [path for path in sorted(directory.glob("*tfevents*")) if _is_regular(path)]


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


class FileSource:
    """The events of one directory. Each call of :meth:`tags` reads what was appended since the last one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._offsets: dict[Path, int] = {}
        self._metadata: dict[str, bytes] = {}
        self._events: dict[str, list[bytes]] = {}
        self._unreadable: dict[Path, OSError] = {}
        self.damaged = 0  # records whose checksum does not fit or that hold no event

    @property
    def problems(self) -> list[str]:
        """Sentences on the files that could not be read when they were last tried."""
        if not self._unreadable:
            return []
        path, error = next(iter(self._unreadable.items()))
        return [
            f"{len(self._unreadable)} event files could not be read and are tried again "
            f"({path.name}: {error.strerror or error})"
        ]

    def tags(self) -> dict[str, Content]:
        """Every tag of ours, and how many events it has."""
        self._unreadable = {}
        for path in event_files(self._directory):
            try:
                self._read(path)
            except OSError as error:  # not readable for us, or gone meanwhile
                self._unreadable[path] = error
        return {tag: Content(self._metadata[tag], len(events)) for tag, events in self._events.items()}

    def _read(self, path: Path) -> None:
        for event, offset in read_events(path, self._offsets.get(path, 0)):
            self._offsets[path] = offset
            if event is None:
                self.damaged += 1
                continue
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == PLUGIN:
                    self._metadata.setdefault(value.tag, value.metadata.plugin_data.content)
                if value.tag in self._metadata:
                    self._events.setdefault(value.tag, []).append(value.tensor.tensor_content)

    def read(self, tags: list[str]) -> dict[str, list[bytes]]:
        """The payloads of each tag, in the order they were written."""
        return {tag: self._events[tag] for tag in tags}
