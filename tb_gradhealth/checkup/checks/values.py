"""Parameters and buffers with values that are not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ...diagnosis.finding import Evidence
from ...diagnosis.rule import Cause, Hit
from ..check import Check, hit
from ..examined import Examined
from ..parts import Parts


def _bad(parts: Parts) -> Iterable[tuple[str, tuple[Evidence, ...], bool]]:
    """Name, evidence, and whether there is a NaN."""
    for place, one in enumerate(parts.parts):
        if one.first_bad is not None:
            index = ", ".join(map(str, one.first_bad))
            count = float(parts.figures.bad[place])
            told = Evidence("not finite", count, math.nan, f"of {one.numel:,} elements, the first one at [{index}]")
            yield one.name, (told,), bool(parts.figures.nan[place])


def look(examined: Examined) -> Iterable[Hit]:
    for name, told, _ in _bad(examined.parameters):
        yield hit(name, told)


def look_buffers(examined: Examined) -> Iterable[Hit]:
    """Infinities alone are what masks are made of."""
    for name, told, nan in _bad(examined.buffers):
        yield hit(name, told, None if nan else "notice")


PARAMETERS = Check(
    name="nonfinite_parameters",
    type="NUMERICAL",
    severity="critical",
    look=look,
    causes=(
        Cause("a checkpoint of a training that had diverged"),
        Cause("memory that was never initialised (torch.empty, to_empty)"),
        Cause("an initialisation that divides by 0"),
    ),
    actions=("initialise the tensor anew, or go back to a checkpoint in which it is finite",),
    innocent="nothing makes this normal: every output that depends on it is lost",
)
BUFFERS = Check(
    name="nonfinite_buffers",
    type="NUMERICAL",
    severity="high",
    look=look_buffers,
    causes=(Cause("running statistics of a training that had diverged"), Cause("memory that was never initialised")),
    actions=("reset the buffer, as reset_running_stats() does of a batch norm",),
    innocent="masks hold -inf on purpose",
)
CHECKS = (PARAMETERS, BUFFERS)
