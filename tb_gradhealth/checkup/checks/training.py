"""Which parameters are going to learn: trained or frozen, in the optimizer or forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from ...diagnosis.rule import Cause, Hit, evidence
from ..check import Check, hit
from ..examined import Examined


def look_trained(examined: Examined) -> Iterable[Hit]:
    parts = examined.parts
    if parts and not any(one.trains for one in parts):
        yield hit("", evidence("parameters that require gradients", 0, unit=f"of {len(parts):,} tensors"))


def look_listed(examined: Examined) -> Iterable[Hit]:
    """Trained, but not in the optimizer; none of them there means that it has those of another model."""
    trained = [one for one in examined.parts if one.trains]
    missing = [one for one in trained if one.listed is False]
    if not missing:
        return
    none = len(missing) == len(trained)
    told = evidence(
        "trained parameters that the optimizer does not have", len(missing), unit=f"of {len(trained):,} tensors"
    )
    if examined.strangers:
        told += evidence("parameters in it that are none of the model's", examined.strangers, unit="tensors")
    yield hit("" if none else missing[0].name, told, "critical" if none else None)


def look_idle(examined: Examined) -> Iterable[Hit]:
    frozen = [one for one in examined.parts if one.listed and not one.trains]
    if frozen:
        told = evidence("frozen parameters in the optimizer", len(frozen), unit=f"of {len(examined.parts):,} tensors")
        yield hit(frozen[0].name, told)
    if examined.idle:
        told = evidence("groups with a learning rate of 0", len(examined.idle), unit="of the optimizer")
        yield hit("", told, innocent="a schedule with a warm-up begins at 0")


NOTHING_TRAINS = Check(
    name="nothing_trains",
    type="STALLED_COMPONENT",
    severity="high",
    look=look_trained,
    causes=(Cause("requires_grad_(False) on the whole model, as for a feature extractor or an evaluation"),),
    actions=("requires_grad_(True) on what is to learn",),
    innocent="a model that is only evaluated",
)
NOT_LISTED = Check(
    name="not_in_optimizer",
    type="STALLED_COMPONENT",
    severity="medium",
    look=look_listed,
    causes=(
        Cause("modules that were added or replaced after the optimizer was made"),
        Cause("a filter of parameter groups that leaves some out"),
        Cause("an optimizer that was made for another model, or for a copy of this one"),
    ),
    actions=("make the optimizer last, from model.parameters()", "freeze what is not to learn: requires_grad_(False)"),
    innocent="several optimizers that share the model; a part that is only to be trained later",
)
IDLE = Check(
    name="idle_in_optimizer",
    type="STALLED_COMPONENT",
    severity="notice",
    look=look_idle,
    causes=(Cause("layers that were frozen after the optimizer was made"),),
    actions=("give the optimizer what is trained: (p for p in model.parameters() if p.requires_grad)",),
    innocent="layers that are thawed later on may wait in the optimizer",
)
CHECKS = (NOTHING_TRAINS, NOT_LISTED, IDLE)
