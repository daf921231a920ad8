"""From the entries of a stream to its files: ranks merge, rows are built, an encoder writes them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from gradhealth_kernels.statistics import COUNTS

from . import nodes
from .boundary.options import Settings
from .gathering import Gathering, Local, Stage
from .live.board import Board
from .live.diagnosing import Diagnosing
from .live.lanes import LEAD
from .live.recording import Recording
from .ranks import Membership
from .shards import Piece
from .sinks import SharedSink, make_sink
from .store.archive_writer import ArchiveWriter
from .store.builder import RowBuilder
from .store.encoder import Encoder
from .store.events import EventTier
from .store.format import MetricInfo, NodeInfo, Schema
from .streams.stream import Stream

CLOSE_SECONDS = 10.0
#: What the first stream may have of the event file's bytes, and each further one of what is left.
FIRST_SHARE, NEXT_SHARE = 0.75, 0.125
#: What findings may have before that, and at least.
FINDINGS_SHARE, FINDINGS_BYTES = 1 / 32, 1 << 13


class Stages:
    """The stages of one session, which begins at ``step``, and what they share: its name, a file and its budget."""

    def __init__(self, settings: Settings, step: int, board: Board, report: Callable[[str], None]) -> None:
        self._settings, self._start, self._board, self._report = settings, step, board, report
        self._id, self._wall_time = uuid.uuid4().hex[:16], time.time()
        self._sink = SharedSink(make_sink(settings.directory, settings.summary_writer, self._id))
        self._bytes = settings.event_bytes  # not yet promised to a stream
        self._stages: list[Stage] = []
        self._diagnosing = self._diagnosis() if settings.rules else None

    def over_ranks(
        self, stream: Stream, pieces: Sequence[Piece], owned: Callable[[], list[bool]], slots: int, step: int
    ) -> Stage:
        """For tensors that ranks share: of the elements that are ``owned`` by this rank, all ranks' are put together.

        Blocks have at most ``slots`` steps, the first of them is ``step`` or later.
        """
        me, room = Membership.of(self._settings.group), self._room()
        if me is None:
            return self._kept(self._encoder(stream, pieces, room))
        if stream.sampled:  # what comes as terms of a sum are gradients alone
            pieces = [replace(piece, summed=0) for piece in pieces]
        local = Local(pieces, owned(), slots, stream.name, step, stream.near_zero, stream.entries)
        stop = self._board.stopping.channel() if stream.name == LEAD else None
        return self._kept(Gathering(me, local, lambda whole: self._encoder(stream, whole, room), self._report, stop))

    def here(self, stream: Stream, pieces: Sequence[Piece]) -> Stage:
        """For what each rank has its own of."""
        return self._kept(self._encoder(stream, pieces, self._room()))

    def finish(self) -> None:
        """Begin to end; :meth:`join` waits until all is written."""
        for stage in self._stages:
            stage.finish(CLOSE_SECONDS)
        if self._diagnosing is not None:
            self._diagnosing.finish(CLOSE_SECONDS)

    def join(self) -> None:
        """Wait for what :meth:`finish` began, as long as that may take."""
        for stage in self._stages:
            stage.join()
        if self._diagnosing is not None:
            self._diagnosing.join()

    def is_written(self) -> bool:
        """Whether there is nothing left to wait for."""
        alive = [stage.is_alive() for stage in self._stages]
        return not any(alive) and (self._diagnosing is None or not self._diagnosing.is_alive())

    def _kept(self, stage: Stage) -> Stage:
        self._stages.append(stage)
        return stage

    def _room(self) -> int:
        """Bytes of the event file for the next stream."""
        room = int((NEXT_SHARE if self._stages else FIRST_SHARE) * self._bytes)
        self._bytes -= room
        return room

    def _encoder(self, stream: Stream, pieces: Sequence[Piece], room: int) -> Encoder:
        tree = nodes.build([piece.name for piece in pieces])
        schema = self._schema(stream, tree, pieces)
        metrics = stream.metrics(self._settings.metrics)
        builder = RowBuilder(tree, metrics, schema.every, stream.sampled)
        events = EventTier(self._sink.share(), schema, room)
        archive = None
        if self._settings.archive is not None:
            archive = ArchiveWriter(self._settings.archive, schema, self._settings.archive_bytes)
        feed = None if self._diagnosing is None else self._diagnosing.begin(schema, tree)
        return Encoder(events, archive, schema, builder, self._report, feed)

    def _diagnosis(self) -> Diagnosing:
        room = max(FINDINGS_BYTES, int(FINDINGS_SHARE * self._bytes))
        self._bytes -= room
        recording = Recording(self._sink.share(), self._id, self._start, self._wall_time, room)
        show = self._board.begin(self._start, self._settings.every)
        return Diagnosing(self._settings.rules, recording, self._board.alarm.tell, show, self._report)

    def _schema(self, stream: Stream, tree: nodes.Tree, pieces: Sequence[Piece]) -> Schema:
        tensors = {piece.name: piece for piece in pieces}
        infos = [
            NodeInfo(name, kind, tensors[name].shape, tensors[name].dtype, tensors[name].aliases)
            if kind == "tensor"
            else NodeInfo(name, kind)
            for name, kind in zip(tree.names, tree.kinds, strict=True)
        ]
        return Schema(
            session=self._id,
            stream=stream.name,
            label=stream.label,
            what=stream.what,
            sampled=stream.sampled,
            wall_time=self._wall_time,
            start_step=self._start,
            every=self._settings.every * stream.every,
            near_zero=stream.near_zero,
            counts=COUNTS,
            metrics=tuple(
                MetricInfo(m.name, m.label, m.unit, m.kind, m.scale, m.over, m.meaning)
                for m in stream.metrics(self._settings.metrics)
            ),
            nodes=tuple(infos),
        )
