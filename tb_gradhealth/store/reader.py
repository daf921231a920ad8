"""Events → a run that can be asked for cells: one reader for the plugin, the command line and the tests.

A run is read incrementally: :meth:`Run.update` fetches only tags that changed. Rows stay compressed in memory; blocks of
decoded values are kept in a bounded cache. All methods may be called from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .format import FormatError, RowPayload, Schema, Tag, check_metadata
from .timeline import BlockCache, Session, Timeline


@dataclass(frozen=True)
class Content:
    """A tag's metadata, and how far it has come: a number that grows whenever the tag's events do."""

    metadata: bytes
    progress: int


class Source(Protocol):
    """Where the events of one run come from."""

    def tags(self) -> dict[str, Content]: ...

    def read(self, tags: list[str]) -> dict[str, list[bytes]]: ...


def revision(contents: Mapping[str, Content]) -> int:
    """A number below 2^32 that changes whenever any tag of a run does."""
    return sum(content.progress for content in contents.values()) % (1 << 32)


class Run:
    """All that is known of one run. ``revision`` changes whenever its data does; ``problems`` are sentences."""

    def __init__(self) -> None:
        self.revision = 0
        self._lock = threading.RLock()
        self._seen: dict[str, int] = {}
        self._schemas: dict[tuple[str, str], Schema] = {}
        self._rows: dict[tuple[str, str], dict[str, list[RowPayload]]] = {}
        self._problems: dict[str, str] = {}
        self._timelines: dict[str, Timeline] = {}
        self._cache = BlockCache()

    @property
    def problems(self) -> list[str]:
        with self._lock:
            return list(dict.fromkeys(self._problems.values()))

    def streams(self) -> list[str]:
        """Streams that have at least one row, gradients first."""
        with self._lock:
            return sorted(self._timelines, key=lambda name: (name != "gradients", name))

    def timeline(self, stream: str) -> Timeline:
        """The surviving history of a stream; an immutable snapshot. Raises KeyError for a stream without rows."""
        with self._lock:
            return self._timelines[stream]

    def update(self, source: Source) -> bool:
        """Take in what is new; True when anything was."""
        with self._lock:
            changed: dict[str, Tag] = {}
            contents = source.tags()
            for text, content in contents.items():
                if self._seen.get(text) == content.progress:
                    continue
                self._seen[text] = content.progress
                try:
                    tag = Tag.parse(text)
                    check_metadata(content.metadata)
                except FormatError as error:
                    self._problems[text] = str(error)
                    continue
                changed[text] = tag
            if not changed:
                return False
            payloads = source.read(list(changed))
            # Schemas first: rows cannot be read without theirs.
            for text, tag in sorted(changed.items(), key=lambda item: item[1].level is not None):
                self._take(text, tag, payloads.get(text, []))
            self._rebuild()
            self.revision = revision(contents)
            return True

    def _take(self, text: str, tag: Tag, payloads: list[bytes]) -> None:
        key = tag.session, tag.stream
        try:
            if tag.level is None:
                if payloads:
                    self._schemas[key] = Schema.decode(payloads[0])
                return
            schema = self._schemas.get(key)
            if schema is None:
                # The schema may be on its way: look at this tag again next time.
                self._seen.pop(text)
                self._problems[text] = f"session {tag.session} has rows but no readable schema yet"
                return
            self._problems.pop(text, None)
        except FormatError as error:
            self._problems[text] = str(error)
            return
        rows = []
        damaged = 0
        for data in payloads:
            try:
                rows.append(RowPayload(data, schema))
            except FormatError as error:
                damaged += 1
                self._problems[text] = f"{damaged} rows of session {tag.session} are damaged and left out ({error})"
        self._rows.setdefault(key, {})[text] = rows

    def _rebuild(self) -> None:
        """Timelines from all sessions known so far."""
        by_stream: dict[str, list[Session]] = {}
        for key, segments in self._rows.items():
            rows = sorted((row for part in segments.values() for row in part if row.level == 0), key=lambda r: r.start)
            if rows:
                by_stream.setdefault(key[1], []).append(Session(self._schemas[key], rows, self._cache))
        self._timelines = {stream: Timeline(sessions) for stream, sessions in by_stream.items()}
