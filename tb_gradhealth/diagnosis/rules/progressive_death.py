"""More and more silent units: a rise in several steps, whatever time it takes, with its phase and a forecast."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..finding import Evidence, Severity
from ..memory import places
from ..modules import RELU
from ..rule import Cause, Hit, Rule, View
from .dead_units import LOOKS

#: Phases of the field's case, by the share of silent units that they begin at.
PHASES = ((0.6, "plateau"), (0.4, "late"), (0.1, "middle"), (0.0, "early"))


def look(view: View) -> Iterable[Hit]:
    now = view.now
    modules = now.modules
    if modules is None:
        return
    dead = np.fmax(now.values("activations", "dead_unit_fraction"), 0)
    known = view.once("rise", lambda: _Rise(len(dead)), id(modules.tensors))
    if not known.add(dead, now.start):
        return
    rising = modules.like(RELU) & (dead >= view["level"])
    if not np.count_nonzero(rising):
        return
    rise = dead - known.base
    rising &= (rise >= view["rise"]) & (rise * modules.units >= 4)
    rising &= (known.increments >= view["increments"]) & (known.largest <= view["jump"] * rise)
    rising &= now.start - known.since >= view["steps"]
    for place in places(rising):
        since = int(known.since[place])
        speed = rise[place] / (now.stop - since)
        phase = next(name for least, name in PHASES if dead[place] >= least)
        left = max(0.0, PHASES[0][0] - dead[place]) / speed
        told = (
            Evidence(f"silent units, {phase} phase", float(dead[place]), float(known.base[place]), "share of units"),
            Evidence("at this pace 60 % are silent at step", float(now.stop + left), np.nan, ""),
        )
        harmless: Severity | None = None
        if now.learns:
            harmless = "medium" if dead[place] >= view["nearly_all"] else "notice"
        yield Hit(modules.owner[place] or modules.tensors.names[place], since, told, harmless)


class _Rise:
    """Since the least share that there was: how many increments, and the largest of them."""

    def __init__(self, units: int) -> None:
        self.base = self._before = np.full(units, np.inf)
        self.since = np.zeros(units, np.int64)
        self.increments, self.largest = np.zeros(units), np.zeros(units)
        self._looks = 0

    def add(self, dead: Floats, step: int) -> bool:
        """False as long as no unit can be known to be dead."""
        self._looks += 1
        if self._looks < LOOKS:
            return False
        low = dead <= self.base
        self.increments += dead > self._before
        np.maximum(self.largest, dead - self._before, out=self.largest)
        self.base, self._before = np.minimum(self.base, dead), dead
        for known, least in ((self.since, step), (self.increments, 0), (self.largest, 0)):
            np.copyto(known, least, where=low)
        return True


RULE = Rule(
    name="progressive_death",
    type="PROGRESSIVE_DEATH",
    severity="high",
    look=look,
    needs={"gradients": (), "activations": ("dead_unit_fraction", "limit_fraction", "minimum", "zero_fraction")},
    causes=(
        Cause("inputs off scale, or that drift", ("SCALE_MISMATCH",)),
        Cause("a learning rate that is too high", ("UNSTABLE",)),
        Cause("biases that drift below zero"),
    ),
    actions=(
        "put LayerNorm in front of the layer (with dropout 0.1 where it overfits)",
        "replace ReLU by LeakyReLU(0.01), GELU or SiLU",
        "go back to a checkpoint before the rise, with a lower learning rate",
    ),
    innocent="a network that is pruned or made sparse on purpose loses units as it trains",
    thresholds={"level": 0.45, "rise": 0.25, "increments": 4.0, "jump": 0.6, "steps": 25.0, "nearly_all": 0.9},
)
