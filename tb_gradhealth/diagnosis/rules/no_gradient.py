"""A parameter that is to be trained, in a module that runs, and to which no gradient comes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..memory import places
from ..rule import Cause, Hit, Rule, View, evidence
from ..structure import module_of


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.parameters.names
    if not np.count_nonzero(now.live):
        return
    state = view.once("had", lambda: {"had": np.zeros(len(names), np.bool_)}, id(names))
    state["had"] |= now.live
    running = unknown = known = waits = ~now.live
    if np.count_nonzero(waits):
        ran, known = view.once("runs", lambda: _Runs(names), id(names)).see(view)
        # Of a parameter that is frozen no update is recorded; one that waits for its gradient has one, of 0.
        waits = waits & (~np.isnan(now.update) if now.frame("updates") is not None else state["had"])
        running, unknown = waits & ran, waits & ~known
    # Where the module is seen to run, it is no expert that waits for its turn.
    seen = view.held("seen", running, view["steps"] / 2)
    guessed = view.held("guessed", unknown, view["steps"])
    if not (seen.anywhere or guessed.anywhere):
        return
    absent = seen.now | guessed.now
    place = int((absent * (1 + now.parameters.weight)).argmax())  # the first weight, else the first bias
    severity: Severity | None = None if state["had"][place] or known[place] else "notice"
    if not np.count_nonzero(absent & state["had"]) and len({module_of(names[one]) for one in places(absent)}) == 1:
        # One module that never had a gradient may be a part that nobody needs: whether that does harm shows with time.
        severity = "notice" if now.learns or now.age < view["patience"] else severity
    told = evidence("tensors without gradient", absent.sum(), unit=f"of {len(names)}")
    node = view.once("node", lambda: names[place], id(names))
    since = seen.since if seen.now[place] else guessed.since
    yield Hit(node, int(since[place]), told, severity)


class _Runs:
    """Which parameters are those of modules whose output was seen."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._modules = [module_of(name).removesuffix(".out_proj") for name in names]
        self._place: np.ndarray | None = None
        self._of: object = None

    def see(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """``ran [tensor]`` in this row, and of which tensors that is ``known``."""
        frame = view.now.frame("activations")
        if frame is None:
            nothing = np.zeros(len(self._modules), np.bool_)
            return nothing, nothing
        if self._of is not frame.tensors:
            places = {name: place for place, name in enumerate(frame.tensors.names)}
            self._place = np.array([places.get(name, -1) for name in self._modules], np.intp)
            self._of = frame.tensors
        assert self._place is not None
        known = self._place >= 0
        return known & (frame.with_data[self._place] > 0), known


RULE = Rule(
    name="no_gradient",
    type="STALLED_COMPONENT",
    severity="medium",
    look=look,
    needs={"gradients": ()},
    uses={"updates": ("norm",), "activations": ()},
    causes=(
        Cause("the output is detached: detach(), no_grad(), .item(), numpy or an argmax on the way to the loss"),
        Cause("the output does not enter the loss"),
        Cause("a branch that is switched off"),
    ),
    actions=(
        "follow the output of the module to the loss, and look where requires_grad is lost",
        "freeze what is not to learn (requires_grad_(False)), so that the optimizer does not carry it",
    ),
    innocent="optimizers that take turns, idle experts, unused heads and layers that are frozen later on have no "
    "gradient for a while; modules that did not run are left out",
    thresholds={"steps": 20, "patience": 60},
)
