"""A batch in which all samples are the same."""

from __future__ import annotations

from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence, hits

#: A spread that rounding leaves of samples that are alike.
ALIKE = 1e-6


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.row.frames["inputs"].tensors.names
    spread = now.values("inputs", "batch_spread")
    held = view.held("alike", spread <= view["spread"], 5)
    return hits(
        names, held, lambda place: evidence("spread across the batch", spread[place], view["spread"], "of the RMS")
    )


RULE = Rule(
    name="constant_input",
    type="MODE_COLLAPSE",
    severity="high",
    look=look,
    needs={"gradients": (), "inputs": ("batch_spread",)},
    causes=(Cause("a data loader that repeats one sample, or a seed that is set for each"),),
    actions=("look at two samples of a batch", "check the sampler, and what workers do with seeds"),
    innocent="a test that overfits one sample on purpose, or an input that is a constant of the model",
    thresholds={"spread": ALIKE},
)
