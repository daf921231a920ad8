"""A held-out loss that is not finite, evaluation after evaluation, while that of the training is.

Training may go on in health while what it leaves behind is of no use: a batch with a NaN that a GradScaler skips enters
the running statistics of a batch norm all the same, and stays there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if now.held_out_broke or not math.isnan(now.held_out):  # there was one in this row
        seen = view.once("seen", lambda: {"evaluations": 0, "since": 0})
        broke = now.held_out_broke and not now.loss_broke
        if not broke or seen["evaluations"] == 0:
            seen["since"] = now.start
        seen["evaluations"] = seen["evaluations"] + 1 if broke else 0
        if seen["evaluations"] >= view["evaluations"]:
            told = evidence("evaluations that are not finite, on end", seen["evaluations"])
            yield Hit("", seen["since"], told)


RULE = Rule(
    name="nonfinite_held_out",
    type="NUMERICAL",
    severity="high",
    look=look,
    needs={"gradients": ()},
    logged=("loss", "val_loss"),
    causes=(
        Cause("running statistics of a batch norm that took a batch with NaN or infinities"),
        Cause("held-out data that hold NaN or infinities"),
        Cause("a model that overflows in evaluation alone: another precision, longer sequences"),
    ),
    actions=(
        "look for NaN in the model's buffers; reset_running_stats() and pass clean batches through in train mode",
        "check batches before the forward pass, not only the loss behind it",
        "look at the held-out data",
    ),
    innocent="a figure with no sample in it, such as a mean over an empty class, is NaN by design",
    thresholds={"evaluations": 2.0},
)
