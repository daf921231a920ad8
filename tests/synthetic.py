"""Recorded runs without torch: made-up gradients through the real builder, codes and files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradhealth_kernels import metrics
from gradhealth_kernels.statistics import BIG_FROM, BIG_SCALE, COUNTS, SMALL_BELOW, SMALL_SCALE, Entries, neutral
from tb_gradhealth import nodes
from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.format import MetricInfo, NodeInfo, Schema, Tag, metadata
from tb_gradhealth.store.levels import Levels
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.records import EventFile
from tb_gradhealth.store.rowgroup import code, encode
from tb_gradhealth.store.source import Content
from tb_gradhealth.store.timeline import Timeline

#: Three modules deep, a tensor before and after the modules, and one module with a single tensor.
NAMES = ("embed", "blocks.0.attn.weight", "blocks.0.attn.bias", "blocks.0.norm", "blocks.1.attn.weight", "head.weight")
SESSION = "0123456789abcdef"

Elements = npt.NDArray[np.float64]


def measure(elements: Elements, near_zero: float = 1e-8) -> Entries:
    """Entries of one tensor, straight from their definitions."""
    x = np.ravel(elements)
    finite = x[np.isfinite(x)]
    one = neutral((1,))
    one["count"], one["zero"], one["near_zero"] = x.size, (x == 0).sum(), (np.abs(x) < near_zero).sum()
    one["saturated"] = (np.abs(x) >= np.finfo(np.float32).max / 8).sum()
    one["nan"], one["pos_inf"], one["neg_inf"] = np.isnan(x).sum(), (x == np.inf).sum(), (x == -np.inf).sum()
    size = np.abs(finite)
    one["sum"], one["sum_abs"], one["abs_max"] = finite.sum(), size.sum(), size.max(initial=0.0)
    one["sum_sq_big"] = np.square(size[size > BIG_FROM] * BIG_SCALE).sum()
    one["sum_sq_small"] = np.square(size[size < SMALL_BELOW] * SMALL_SCALE).sum()
    one["sum_sq"] = np.square(size[(size >= SMALL_BELOW) & (size <= BIG_FROM)]).sum()
    return one


def gradients(steps: int, tensors: int, seed: int = 0, size: int = 6) -> Elements:
    """``[step, tensor, element]``, each tensor at a magnitude of its own."""
    generator = np.random.default_rng(seed)
    scale = 10.0 ** generator.uniform(-6, 2, (1, tensors, 1))
    return generator.standard_normal((steps, tensors, size)) * scale


def measured(elements: Elements) -> Entries:
    """Entries ``[step, tensor]`` of ``elements [step, tensor, element]``."""
    return np.array([[measure(tensor)[0] for tensor in step] for step in elements])


def recorded(steps: int, tensors: int = len(NAMES), seed: int = 0) -> Entries:
    return measured(gradients(steps, tensors, seed))


@dataclass
class Recording:
    """One session: what a writer would have measured from step ``start`` on."""

    entries: Entries  # [step, tensor]
    names: Sequence[str] = NAMES
    start: int = 0
    every: int = 10
    session: str = SESSION
    wall_time: float = 1_700_000_000.0
    chosen: Sequence[metrics.Metric] = metrics.METRICS
    block: int = 7  # steps handed over at once
    logged: dict[int, list[tuple[str, Any]]] = field(default_factory=dict)  # first step of a block → scalars

    @property
    def tree(self) -> nodes.Tree:
        return nodes.build(self.names)

    @property
    def schema(self) -> Schema:
        tree = self.tree
        size = {name: int(self.entries["count"][:, i].max()) for i, name in enumerate(self.names)}
        return Schema(
            session=self.session,
            stream="gradients",
            label="Gradients (applied)",
            wall_time=self.wall_time,
            start_step=self.start,
            every=self.every,
            near_zero=1e-8,
            counts=COUNTS,
            metrics=tuple(MetricInfo(m.name, m.label, m.unit, m.kind, m.scale, m.over, m.meaning) for m in self.chosen),
            nodes=tuple(
                NodeInfo(name, kind, (size[name],), "float32") if kind == "tensor" else NodeInfo(name, kind)
                for name, kind in zip(tree.names, tree.kinds, strict=True)
            ),
        )

    def blocks(self) -> list[Block]:
        """As the monitor hands them over: cut at the block size and at multiples of ``every``."""
        steps = range(self.start, self.start + len(self.entries))
        firsts = [s for s in steps if (s - self.start) % self.block == 0 or s % self.every == 0]
        ends = [*firsts[1:], steps.stop]
        return [
            Block(first, Ready(self.entries[first - self.start : end - self.start]), self.logged.get(first, []))
            for first, end in zip(firsts, ends, strict=True)
        ]

    def rows(self) -> list[PendingRow]:
        builder = RowBuilder(self.tree, self.chosen, self.every)
        return [*itertools.chain.from_iterable(map(builder.add, self.blocks())), *builder.cut()]

    def payloads(self) -> list[bytes]:
        """Row groups of one row of level 0 each."""
        schema = self.schema
        return [encode([code(row, 0, schema)], schema) for row in self.rows()]

    def write(
        self,
        directory: Path,
        archive: bool | int = False,
        event_bytes: int = 32 << 20,
        together: int = 1,
        between: Callable[[], object] = lambda: None,
    ) -> Path:
        """All levels into an event file, and into an archive that keeps so many bytes (True: all); ``together`` rows of
        level 0 between two flushes, after each of which ``between`` is called. What the encoder's thread does, one
        thing after the other."""
        schema, levels, file = self.schema, Levels(self.every), EventFile(directory, self.session)
        events = EventTier(file, schema, event_bytes)
        keep = ArchiveWriter(directory / DIRECTORY, schema, None if archive is True else archive) if archive else None
        steps = [levels.add(row) for row in self.rows()] + [levels.cut()]
        for number, done in enumerate(steps):
            for level, row in done:
                coded = code(row, level, schema)
                events.add(row, coded, level)
                if keep is not None:
                    keep.add(coded)
            if number % together == 0 or number == len(steps) - 1:
                events.flush()
                if keep is not None:
                    keep.flush()
                between()
        events.close()
        if keep is not None:
            keep.close()
        return file.path

    def again(self, **changes: Any) -> Recording:
        return replace(self, **changes)


class Memory:
    """A source that a test fills by hand."""

    def __init__(self, *recordings: Recording) -> None:
        self.events: dict[str, list[bytes]] = {}
        self.metadata: dict[str, bytes] = {}
        self.reads: list[list[str]] = []
        for recording in recordings:
            self.put(recording)

    def put(self, recording: Recording, schema: bool = True) -> None:
        one = recording.schema
        if schema:
            self.add(Tag(one.session, one.stream), [one.encode()])
        self.add(Tag(one.session, one.stream, 0, 0), recording.payloads())

    def add(self, tag: Tag | str, payloads: Sequence[bytes], about: bytes | None = None) -> None:
        self.metadata.setdefault(str(tag), metadata(0, 0.0) if about is None else about)
        self.events.setdefault(str(tag), []).extend(payloads)

    def tags(self) -> dict[str, Content]:
        return {tag: Content(self.metadata[tag], len(events)) for tag, events in self.events.items()}

    def read(self, tags: list[str]) -> dict[str, list[bytes]]:
        self.reads.append(tags)
        return {tag: list(self.events[tag]) for tag in tags}


def history(*recordings: Recording) -> Timeline:
    """The stitched timeline of recordings that must be readable without a problem."""
    run = Run()
    run.update(Memory(*recordings))
    assert run.problems == []
    return run.timeline("gradients")
