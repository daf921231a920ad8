"""Events → a run that can be asked for cells: one reader for the plugin, the command line and the tests.

A run is read incrementally: :meth:`Run.update` fetches only tags that changed. Rows stay compressed in memory; blocks
of decoded values are kept in a bounded cache. All methods may be called from several threads.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

from .format import FormatError, Schema, Tag, check_metadata
from .row import RowPayload
from .sessions import BlockCache, Session
from .timeline import Timeline


@dataclass(frozen=True)
class Content:
    """A tag's metadata, and how far it has come: a number that grows whenever the tag's events do."""

    metadata: bytes
    progress: int


class Source(Protocol):
    """Where the events of one run come from."""

    def tags(self) -> dict[str, Content]: ...

    def read(self, tags: list[str]) -> dict[str, list[bytes]]:
        """Payloads of each tag; a tag that cannot be read now is left out, and asked for again at the next update."""
        ...


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
        self._flawed: dict[str, set[int]] = {}
        self._timelines: dict[str, Timeline] = {}
        self._cache = BlockCache()

    @property
    def problems(self) -> list[str]:
        with self._lock:
            return list(dict.fromkeys(self._problems.values()))

    def streams(self) -> list[str]:
        """Streams of which at least one row survives, gradients first."""
        with self._lock:
            return list(self._timelines)

    def timeline(self, stream: str) -> Timeline:
        """The surviving history of a stream, in the steps, cells and nodes of the first one; an immutable snapshot.

        Raises KeyError for a stream of which no row survives.
        """
        with self._lock:
            return self._timelines[stream]

    def update(self, source: Source) -> bool:
        """Take in what is new; True when anything was."""
        with self._lock:
            contents = source.tags()
            # Not "!=": what another thread listed before us, and hands in after us, is no news.
            grown = [text for text, content in contents.items() if content.progress > self._seen.get(text, -1)]
            changed = self._wanted({text: contents[text] for text in grown})
            payloads = source.read(list(changed)) if changed else {}
            for text, tag in changed.items():
                if text in payloads:
                    self._seen[text] = contents[text].progress
                    self._take(text, tag, payloads[text])
                else:
                    self._problems[text] = f"a part of session {tag.session} could not be read; it is tried again"
            if changed:
                self._rebuild()
            if grown:
                self.revision = revision(contents)
            return bool(changed)

    def _wanted(self, contents: Mapping[str, Content]) -> dict[str, Tag]:
        """The tags that can be read, schemas first: rows mean nothing without theirs, and wait for it."""
        found: dict[str, Tag] = {}
        for text, content in contents.items():
            try:
                tag = Tag.parse(text)
                check_metadata(content.metadata)
                found[text] = tag
            except FormatError as error:
                self._seen[text] = content.progress
                self._problems[text] = str(error)
        described = self._schemas.keys() | {(tag.session, tag.stream) for tag in found.values() if tag.level is None}
        for text, tag in list(found.items()):
            if (tag.session, tag.stream) not in described:
                self._problems[text] = f"session {tag.session} has rows but no readable schema yet"
                del found[text]
        return dict(sorted(found.items(), key=lambda item: item[1].level is not None))

    def _take(self, text: str, tag: Tag, payloads: list[bytes]) -> None:
        key = tag.session, tag.stream
        self._problems.pop(text, None)
        if tag.level is None:
            try:
                schema = Schema.decode(payloads[0]) if payloads else None
                if schema is None or (schema.session, schema.stream) != key:
                    raise FormatError(f"expected the schema of session {tag.session} under its tag, got another")
                self._schemas[key] = schema
            except FormatError as error:
                self._problems[text] = str(error)
            return
        schema = self._schemas.get(key)
        if schema is None:
            del self._seen[text]
            self._problems[text] = f"session {tag.session} has rows but no readable schema"
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
            rows: list[RowPayload] = []
            for row in sorted(
                (row for part in segments.values() for row in part if row.level == 0), key=attrgetter("start")
            ):
                if not rows or row.start >= rows[-1].stop:
                    rows.append(row)
                else:
                    self._report(key[0], row.start, "its steps are covered by an earlier row")
            if rows:
                report = functools.partial(self._report, key[0])
                by_stream.setdefault(key[1], []).append(Session(self._schemas[key], rows, self._cache, report))
        self._timelines = {}
        lead: Timeline | None = None
        for stream in sorted(by_stream, key=lambda name: (name != "gradients", name)):
            timeline = Timeline(by_stream[stream], lead)
            lead = lead or timeline
            if timeline.sessions:
                self._timelines[stream] = timeline

    def _report(self, session: str, step: int, reason: str) -> None:
        """A row that cannot be used in full, which may come to light only when a cell of it is asked for."""
        with self._lock:
            rows = self._flawed.setdefault(session, set())
            rows.add(step)
            what = f"{len(rows)} rows of session {session} are damaged and left out in full or in part"
            self._problems[f"rows of {session}"] = f"{what} (from step {min(rows)} on; {reason})"
