"""Events and archive → a run that can be asked for cells: one reader for the plugin, the command line and the tests.

A run is read incrementally: :meth:`Run.update` fetches only tags that changed. Events stay compressed in memory, the
archive on the disk; decoded chunks are kept in a bounded cache. All methods may be called from several threads.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from pathlib import Path

from ..findings import Finding, stitched
from . import findings
from .archive import DIRECTORY
from .archive_reader import PART_BYTES, Archive
from .files import FileSource
from .format import FormatError, Schema, Tag, check_metadata
from .part import Part
from .row_v1 import is_row, part_of_row
from .rowgroup import RowGroup
from .sessions import Session
from .source import Content, Source, revision
from .timeline import Timeline

Key = tuple[str, str]  # session, stream
ROW_BYTES = 80  # of its part's table, and of the rows by level


class Run:
    """All that is known of one run. ``revision`` changes whenever its data does; ``problems`` are sentences; ``nbytes``
    is the memory that events and tables of rows take, about."""

    def __init__(self, archive: Archive | None = None) -> None:
        self.revision = 0
        self.nbytes = 0
        self._archive = archive
        self._archived = -1
        self._lock = threading.RLock()
        self._seen: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._schemas: dict[Key, Schema] = {}
        self._parts: dict[Key, dict[str, list[Part]]] = {}
        self._lost: dict[Part, Exception] = {}  # why it is unreadable
        self._problems: dict[str, str] = {}
        self._flawed: dict[str, dict[int, tuple[str, Exception]]] = {}  # session → first step of rows → what, why
        self._timelines: dict[str, Timeline] = {}
        self._found: dict[str, findings.Found] = {}

    @property
    def problems(self) -> list[str]:
        with self._lock:
            archived = [] if self._archive is None else self._archive.problems
            flawed = [_sentence(session, rows) for session, rows in self._flawed.items()]
            return list(dict.fromkeys([*self._problems.values(), *flawed, *archived]))

    def streams(self) -> list[str]:
        """Streams of which at least one row survives, gradients first."""
        with self._lock:
            return list(self._timelines)

    def timelines(self) -> dict[str, Timeline]:
        """Those of all streams, gradients first, which belong together: all are of the same update."""
        with self._lock:
            return self._timelines.copy()

    def timeline(self, stream: str) -> Timeline:
        """The surviving history of a stream, in the steps, cells and nodes of the first one; an immutable snapshot.

        Raises KeyError for a stream of which no row survives.
        """
        with self._lock:
            return self._timelines[stream]

    @property
    def diagnosed(self) -> bool:
        """Whether findings were recorded, were there any."""
        with self._lock:
            return bool(self._found)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found in the steps that survive, worst first."""
        with self._lock:
            lead = next(iter(self._timelines.values()), None)
            begins = dict(lead.begins) if lead is not None else {}
            found = {(one.wall_time, session): one for session, one in self._found.items()}
            begins |= {key: min(one.start, begins.get(key, one.start)) for key, one in found.items()}
            schemas = [session.schema for session in lead.sessions] if lead is not None else []
            every = {(schema.wall_time, schema.session): schema.every for schema in schemas}
            return stitched(
                (begins[key], every.get(key, 0), found[key].findings if key in found else ()) for key in sorted(begins)
            )

    def latest(self, contents: Mapping[str, Content]) -> int:
        """The revision that an update with these tags will lead to."""
        return revision(contents, 0 if self._archive is None else self._archive.progress())

    def update(self, source: Source) -> bool:
        """Take in what is new; True when anything was."""
        with self._lock:
            contents = source.tags()
            # Not "!=": what another thread listed before us, and hands in after us, is no news.
            grown = [text for text, content in contents.items() if content.progress > self._seen.get(text, -1)]
            told = [text for text in grown if findings.session_of(text) is not None]
            changed = self._wanted({text: contents[text] for text in grown if text not in told})
            payloads = source.read([*told, *changed]) if told or changed else {}
            for text in told:
                self._take_found(text, contents[text], payloads.get(text))
            for text, tag in changed.items():
                if text in payloads:
                    self._seen[text] = contents[text].progress
                    self._bytes[text] = sum(map(len, payloads[text]))
                    self._take(text, tag, payloads[text])
                else:
                    self._problems[text] = f"a part of session {tag.session} could not be read; it is tried again"
            archived = self._take_archive()
            again = self._try_again()
            if changed or archived or again:
                self._rebuild()
            if grown or archived:
                self.revision = revision(contents, max(0, self._archived))
            return bool(changed or told) or archived or again

    def _try_again(self) -> bool:
        """Forgets what could not be read for a reason that may pass, as when too many files were open; returns whether
        there was any. What is broken stays so."""
        reasons = [*self._lost.copy().values(), *(why for rows in self._flawed.values() for _, why in rows.values())]
        if all(isinstance(why, FormatError) for why in reasons):
            return False
        # Others: timelines of before may still add to theirs.
        self._lost = {part: why for part, why in self._lost.copy().items() if isinstance(why, FormatError)}
        for session, rows in list(self._flawed.items()):
            broken = {step: why for step, why in rows.items() if isinstance(why[1], FormatError)}
            self._flawed[session] = broken
            if not broken:
                del self._flawed[session]
        return True

    def _take_archive(self) -> bool:
        if self._archive is None:
            return False
        progress = self._archive.progress()
        if progress == self._archived:
            return False
        self._archived = progress
        return self._archive.update()

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

    def _take_found(self, text: str, content: Content, payloads: list[bytes] | None) -> None:
        """Each record has all of its session, so the last one that can be read counts."""
        session = findings.session_of(text) or ""
        self._problems.pop(text, None)
        if payloads is None:
            self._problems[text] = f"findings of session {session} could not be read; it is tried again"
            return
        self._seen[text] = content.progress
        self._bytes[text] = sum(map(len, payloads[-1:]))
        for data in reversed(payloads):
            try:
                check_metadata(content.metadata)
                self._found[session] = findings.decode(data)
                return
            except FormatError as error:
                self._problems[text] = f"findings of session {session} are damaged and left out ({error})"

    def _take(self, text: str, tag: Tag, payloads: list[bytes]) -> None:
        key = tag.session, tag.stream
        self._problems.pop(text, None)
        if tag.level is None:
            try:
                schema = Schema.decode(payloads[0]) if payloads else None
                if schema is None or (schema.session, schema.stream) != key:
                    raise FormatError(f"expected the schema of session {tag.session} under its tag, got another")
                self._schemas.setdefault(key, schema)
            except FormatError as error:
                self._problems[text] = str(error)
            return
        schema = self._schemas.get(key)
        if schema is None:
            del self._seen[text]
            self._problems[text] = f"session {tag.session} has rows but no readable schema"
            return
        parts = []
        damaged = 0
        for data in payloads:
            try:
                parts.append(_part(data, schema, tag.level))
            except FormatError as error:
                damaged += 1
                self._problems[text] = f"{damaged} rows of session {tag.session} are damaged and left out ({error})"
        self._parts.setdefault(key, {})[text] = parts

    def _rebuild(self) -> None:
        """Timelines from all sessions known so far."""
        archived = {} if self._archive is None else self._archive.streams
        by_stream: dict[str, list[Session]] = {}
        known: set[Part] = set()
        for key in self._parts.keys() | archived.keys():
            if key in archived:
                self._schemas.setdefault(key, archived[key].schema)
            # The archive first: its chunks hold more rows, so fewer of them are to be read.
            parts = list(archived[key].parts) if key in archived else []
            parts += [part for segment in self._parts.get(key, {}).values() for part in segment]
            known.update(parts)
            if any(part not in self._lost for part in parts):
                report = functools.partial(self._report, key[0])
                by_stream.setdefault(key[1], []).append(Session(self._schemas[key], parts, self._lost, report))
        for part in self._lost.keys() - known:
            del self._lost[part]
        rows = sum(len(part.table) for part in known)
        self.nbytes = sum(self._bytes.values()) + ROW_BYTES * rows + PART_BYTES * len(known)
        before, self._timelines = self._timelines, {}
        lead: Timeline | None = None
        for stream in sorted(by_stream, key=lambda name: (name != "gradients", name)):
            timeline = Timeline(by_stream[stream], lead, before.get(stream))
            lead = lead or timeline
            if timeline.sessions:
                self._timelines[stream] = timeline

    def _report(self, session: str, step: int, what: str, why: Exception) -> None:
        """Rows that cannot be used, which may come to light only when a cell of them is asked for."""
        with self._lock:
            self._flawed.setdefault(session, {})[step] = what, why


def _sentence(session: str, rows: Mapping[int, tuple[str, Exception]]) -> str:
    what, why = list(rows.values())[-1]
    damage = f"{len(rows)} groups of rows of session {session} are damaged and left out in full or in part"
    return f"{damage} (from step {min(rows)} on; {what}{why})"


def _part(data: bytes, schema: Schema, level: int) -> Part:
    if is_row(data):
        return part_of_row(data, schema)
    group = RowGroup.of(data, schema)
    if group.level != level:
        raise FormatError(f"expected rows of level {level} under its tag, got level {group.level}")
    return Part(level, group.table, lambda: group, in_memory=True)


class DirectoryRun(Run):
    """The run that was recorded in ``directory``, its archive included."""

    def __init__(self, directory: Path) -> None:
        super().__init__(Archive(directory / DIRECTORY))
        self.source = FileSource(directory)

    @property
    def problems(self) -> list[str]:
        damaged = self.source.damaged
        records = [f"{damaged} records of the event files are damaged and left out"] if damaged else []
        return [*records, *self.source.problems, *super().problems]

    def refresh(self) -> bool:
        """Take in what was written meanwhile; True when anything was."""
        return self.update(self.source)


def open_directory(directory: Path) -> DirectoryRun:
    """The run recorded in ``directory``, up to date."""
    run = DirectoryRun(directory)
    run.refresh()
    return run
