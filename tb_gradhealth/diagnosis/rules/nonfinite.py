"""A value that is not finite, in something that was used: where the forward pass met it, else in the gradients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...rows import NEVER
from ..memory import Mask
from ..row import Frame
from ..rule import Cause, Hit, Rule, View, evidence
from ..signals import Signals

#: Steps in which the loss is not finite and a GradScaler skips, after which it is no single batch.
SKIPPED = 5


def look(view: View) -> Iterable[Hit]:
    """Steps that a GradScaler skipped are no disease, as long as it is gradients that overflow: it looks for its scale
    so. A forward pass that is not finite is none of its scale's; once it may be the batch."""
    now = view.now
    gradients = now.row.frames["gradients"]
    weights = now.frame("weights")
    # What is logged may stand a row before its step: gradients of the next one tell where it came from.
    in_loss = view.lasted("loss", now.loss_broke and now.applied, 2)
    skipping = view.lasted("skipping", now.loss_broke and not now.applied, SKIPPED)
    looked = now.start not in now.skipped or skipping is not None
    if looked and (forward := _inputs(now) or _activations(view)) is not None:
        frame, bad, node, where = forward
    elif now.lost:
        # Backward goes from the end to the start: the deepest is the first.
        frame, bad, where = gradients, now.bad, "tensors"
        node = frame.tensors.names[np.flatnonzero(bad)[-1]] if not bad[now.live].all() else ""
    elif weights is not None and _is_bad(weights):
        frame, bad, where = weights, weights.first_bad < NEVER, "tensors"
        node = frame.tensors.names[np.flatnonzero(bad)[0]]
    elif in_loss is not None or skipping is not None:
        since = in_loss if in_loss is not None else skipping
        yield Hit("", since or 0, evidence("loss", now.loss, now.loss_start))
        return
    else:
        return
    first = int(frame.first_bad[bad].min())
    yield Hit(node, first, evidence("not finite", bad.sum(), unit=f"of {len(bad)} {where}"))


def _is_bad(frame: Frame) -> bool:
    return bool(np.count_nonzero(frame.first_bad < NEVER))


def _inputs(now: Signals) -> tuple[Frame, Mask, str, str] | None:
    frame = now.frame("inputs")
    if frame is None or not _is_bad(frame):
        return None
    bad = frame.first_bad < NEVER
    return frame, bad, frame.tensors.names[bad.argmax()], "inputs"


def _activations(view: View) -> tuple[Frame, Mask, str, str] | None:
    """Modules whose output broke something: what is infinite while loss and gradients are fine is so on purpose, as
    attention scores that a mask leaves out, and is later no sign of anything."""
    frame = view.now.frame("activations")
    if frame is None or not _is_bad(frame):
        return None
    bad = frame.first_bad < NEVER
    wanted = view.once("on purpose", lambda: np.zeros(len(bad), np.bool_), id(frame.tensors))
    if not view.now.loss_broke and not _is_bad(view.now.row.frames["gradients"]):
        wanted |= bad
    bad = bad & ~wanted
    if not np.count_nonzero(bad):
        return None
    return frame, bad, _layer(view, int(bad.argmax())), "modules"


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
        Cause("the inputs hold NaN, infinities or far outliers"),
        Cause("a learning rate so high that values grew until they overflowed", ("EXPLODING", "UNSTABLE")),
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
