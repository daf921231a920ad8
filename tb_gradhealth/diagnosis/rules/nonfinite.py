"""A value that is not finite, in something that was used: where the forward pass met it, else in the gradients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...rows import NEVER
from ..finding import Evidence
from ..rule import Cause, Hit, Rule, View


def look(view: View) -> Iterable[Hit]:
    """Steps that a GradScaler skipped are no disease: it looks for its scale so."""
    now = view.now
    activations = now.frame("activations") if now.start not in now.skipped else None
    weights = now.frame("weights")
    in_weights = weights is not None and bool((weights.first_bad < NEVER).any())
    # What is logged may stand a row before its step: gradients of the next one tell where it came from.
    in_loss = view.lasted("loss", now.loss_broke and now.applied, 2)
    if activations is not None and (bad := activations.first_bad < NEVER).any():
        place, frame, steps = int(np.flatnonzero(bad)[0]), activations, activations.first_bad
        node = _layer(view, place)
    elif now.bad.any():
        # Backward goes from the end to the start: the deepest is the first.
        frame, steps = now.row.frames["gradients"], now.row.frames["gradients"].first_bad
        place = int(np.flatnonzero(now.bad)[-1])
        bad = now.bad
        node = frame.tensors.names[place] if not bad[now.live].all() else ""
    elif in_weights and weights is not None:
        frame, steps, bad = weights, weights.first_bad, weights.first_bad < NEVER
        place = int(np.flatnonzero(bad)[0])
        node = frame.tensors.names[place]
    elif in_loss is not None:
        yield Hit("", in_loss, (Evidence("loss", now.loss, now.loss_start, ""),))
        return
    else:
        return
    first = int(steps[bad].min())
    count = float(bad.sum())
    where = "modules" if frame is activations else "tensors"
    yield Hit(node, first, (Evidence("not finite", count, float(len(bad)), where),))


def _layer(view: View, place: int) -> str:
    """An activation function passes on what the layer before it returned."""
    modules = view.now.modules
    if modules is None:
        return ""
    return modules.owner[place] or modules.tensors.names[place]


RULE = Rule(
    name="nonfinite",
    type="NUMERICAL",
    severity="critical",
    look=look,
    needs={"gradients": ()},
    uses={"activations": (), "weights": ()},
    causes=(
        Cause("the values grew until they overflowed", ("EXPLODING", "UNSTABLE")),
        Cause("the inputs hold NaN, infinities or far outliers", ("SCALE_MISMATCH",)),
        Cause("a logarithm, square root, division or norm of 0 in the loss or the model"),
        Cause("float16 without loss scaling, or with a scale that is too large", ("UNDERFLOW",)),
    ),
    actions=(
        "look at the named tensor in the first step, with torch.autograd.set_detect_anomaly(True)",
        "add eps inside logarithms, roots and norms: x / (||x|| + 1e-8)",
        "lower the learning rate and clip the global norm to 1.0",
        "go back to the last checkpoint before the first step",
    ),
    innocent="steps that a GradScaler skipped are not counted; what remains was used",
    always=True,
)
