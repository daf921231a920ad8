"""What stands in row groups, row by row, for tests that look closer than a timeline does; and sinks to write into."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event

from tb_gradhealth.notes import Note
from tb_gradhealth.rows import NEVER, Floats, Ints
from tb_gradhealth.store.format import Schema, Tag
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.rowgroup import NO_STEP, RowGroup, values
from tb_gradhealth.store.scalars import Scalar
from tb_gradhealth.store.timeline import Timeline

from ..synthetic import Memory

SECONDS = 30.0


@dataclass(frozen=True)
class Written:
    """One row as it reads back."""

    level: int
    start: int
    stop: int
    recorded: int
    steps: Ints  # [with data, finite, first bad (NEVER if none); node]
    counts: Ints  # [count, node]
    metrics: dict[str, Floats]  # name → [mean min max, node]
    scalars: dict[str, Scalar]
    notes: list[Note]


def rows_of(group: RowGroup, schema: Schema) -> list[Written]:
    """All that a row group holds."""
    columns = []
    for number, about in enumerate(group.columns):
        parts = []
        for chunk in range(-(-len(schema.nodes) // group.width)):
            nodes = min(group.width, len(schema.nodes) - chunk * group.width)
            nothing = np.zeros((len(group.table), nodes), about.dtype)
            planes = [nothing if plane is None else plane for plane in group.chunk(number, chunk).planes]
            parts.append(np.stack([values(about, plane) if about.kind else plane for plane in planes]))
        columns.append(np.concatenate(parts, axis=2))
    found = []
    for row, (start, stop, recorded, _) in enumerate(group.table.tolist()):
        steps = columns[0][:, row].astype(np.int64)
        steps[1] = steps[0] - steps[1]
        steps[2] = np.where(steps[2] == 0, NEVER, start + NO_STEP - steps[2])
        metrics = {m.name: column[:, row] for m, column in zip(schema.metrics, columns[2:], strict=True)}
        counts = columns[1][:, row].astype(np.int64)
        found.append(
            Written(group.level, start, stop, recorded, steps, counts, metrics, group.scalars(row), group.notes(row))
        )
    return found


def rows_in(events: Iterable[Event], schema: Schema) -> list[Written]:
    """The rows of all row groups among ``events``, which must stand under the tag of their level."""
    found = []
    for value in itertools.chain.from_iterable(event.summary.value for event in events):
        if value.tag.startswith("gradhealth/") and (tag := Tag.parse(value.tag)).level is not None:
            assert (tag.session, tag.stream) == (schema.session, schema.stream)
            group = RowGroup.of(value.tensor.tensor_content, schema)
            assert group.level == tag.level
            found += rows_of(group, schema)
    return found


class Sink:
    """Keeps events; each ``append`` first waits for ``gate`` and calls ``trouble``."""

    def __init__(self, trouble: Callable[[], None] = lambda: None) -> None:
        self.events: list[Event] = []
        self.gate = threading.Event()
        self.gate.set()
        self.trouble, self.closed, self.threads = trouble, 0, set[str]()

    def append(self, event: Event) -> None:
        self.gate.wait(SECONDS)
        self.threads.add(threading.current_thread().name)
        self.trouble()
        self.events.append(Event.FromString(event.SerializeToString()))

    def close(self) -> None:
        self.closed += 1

    def rows(self, schema: Schema, level: int | None = None) -> list[Written]:
        """The rows written so far, in the order of the file; those of one level."""
        return [row for row in rows_in(self.events, schema) if level in (None, row.level)]

    def timeline(self) -> Timeline:
        """What a reader makes of it, which must be without a problem."""
        source, run = Memory(), Run()
        for event in self.events:
            for value in event.summary.value:
                if value.tag.startswith("gradhealth/"):
                    about = value.metadata.plugin_data.content
                    source.add(value.tag, [value.tensor.tensor_content], about)
        run.update(source)
        assert run.problems == []
        return run.timeline("gradients")
