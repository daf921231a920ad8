"""A loss that is not finite in a step that was made with finite gradients: one batch, or the first sign of more."""

from __future__ import annotations

from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if now.loss_broke and now.applied and not now.skipped:
        yield Hit("", now.start, evidence("loss", now.loss, now.loss_start))


RULE = Rule(
    name="nonfinite_loss",
    type="NUMERICAL",
    severity="notice",
    look=look,
    needs={"gradients": ()},
    logged=("loss",),
    causes=(
        Cause("a logarithm, square root, division or norm of 0 in the loss, for one sample"),
        Cause("a batch with nothing in it, or with values that are not finite or far off"),
    ),
    actions=(
        "add eps inside logarithms, roots and norms, or use a loss that takes logits",
        "look at the batch of that step",
    ),
    innocent="where no gradient came of it, nothing was learnt from that step and nothing broken",
    always=True,
)
