"""A run to which things happened: skipped steps, dropped gradients, a rewind, a resume, a tied tensor, clipping."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from gradhealth_kernels.statistics import Entries
from tb_gradhealth.notes import Fault, Note
from tb_gradhealth.store.blocks import Block
from tb_gradhealth.store.format import Schema

from ..synthetic import NAMES, SESSION, Recording, recorded

SECOND, THIRD = "a" * 16, "b" * 16
TIED, ALIAS = "embed", "head.tied"
FIRST_STEPS, REWOUND_TO, RESUMED_AT, END = 1200, 1000, 1400, 1500
STREAMS = {"gradients": "Gradients (applied)", "unclipped": "Gradients (before clipping)"}
CLIPPED = 4.0  # what is applied is by this smaller than what was before clipping

FAULTS = (Fault("blocks.0.attn.weight", 3, 1, 0), Fault("blocks.0.norm", 0, 0, 2))
DROPPED = Note(88, "not_stepped", values={"norm": 3.2})
SKIPPED = Note(120, "skipped", FAULTS, 12, {"loss_scale": 65536.0})
BURST = [Note(step, "skipped", FAULTS[:1], values={"loss_scale": 2.0 ** (330 - step)}) for step in range(300, 330)]
DIVERGED = Note(640, "diverged", (Fault("head.weight", 0, 0, 0),))
UNDONE = Note(1100, "skipped")  # at a step that was recorded again
UNKNOWN = Note(1234, "something_new", values={"figure": 7.0})
NOTES = [DROPPED, SKIPPED, *BURST, DIVERGED, UNKNOWN]


@dataclass
class Noted(Recording):
    """A recording with notes, whose tensor :data:`TIED` has another name, of any stream."""

    notes: list[Note] = field(default_factory=list)
    stream: str = "gradients"

    @property
    def schema(self) -> Schema:
        plain = super().schema
        nodes = tuple(replace(node, aliases=(ALIAS,)) if node.name == TIED else node for node in plain.nodes)
        return replace(plain, stream=self.stream, label=STREAMS[self.stream], nodes=nodes)

    def blocks(self) -> list[Block]:
        blocks = super().blocks()
        ends = [*(block.first_step for block in blocks[1:]), self.start + len(self.entries)]
        for block, end in zip(blocks, ends, strict=True):
            block.notes = [note for note in self.notes if block.first_step <= note.step < end]
        return blocks


def scaled(entries: Entries, factor: float) -> Entries:
    """Entries of the same elements times ``factor``."""
    result: Entries = entries.copy()
    for name in ("sum", "sum_abs", "abs_max"):
        result[name] *= factor
    for name in ("sum_sq", "sum_sq_big", "sum_sq_small"):
        result[name] *= factor**2
    return result


def write(run: Path) -> None:
    """Three sessions of two streams below ``run``."""
    spans = [(SESSION, 0, FIRST_STEPS), (SECOND, REWOUND_TO, RESUMED_AT), (THIRD, RESUMED_AT, END)]
    for number, (session, start, stop) in enumerate(spans):
        entries = recorded(stop - start, len(NAMES), seed=number)
        own = [*NOTES[:-1], UNDONE] if number == 0 else [UNKNOWN] if number == 1 else []
        one = Noted(entries, start=start, session=session, wall_time=1.7e9 + 3600 * number, notes=own)
        one.write(run / "gradhealth")
        before = one.again(entries=scaled(entries, CLIPPED), stream="unclipped", notes=[])
        before.write(run / "gradhealth").rename(run / "gradhealth" / f"events.out.tfevents.9{number}.unclipped")
