"""What to switch on for rules that had nothing to look at."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .finding import Missing
from .rule import Rule
from .signals import is_held_out, is_loss

#: Stream → how a loop records it.
_SWITCHES = {
    "weights": 'streams=["weights"]',
    "updates": 'streams=["updates"]',
    "spectrum": 'streams=["spectrum"]',
    "dead_rows": 'streams=["dead_rows"]',
    "exponents": 'streams=["exponents"]',
    "activations": 'activations="auto"',
    "inputs": 'optimizer.gradhealth.observe("x", x, kind="input")',
    "predictions": 'optimizer.gradhealth.observe("y", y, kind="prediction")',
    "attention": 'optimizer.gradhealth.observe("attn", weights, kind="attention")',
    "loss": "optimizer.gradhealth.log(loss=loss)",
    "val_loss": "optimizer.gradhealth.log(val_loss=loss)",
    "lr": "nothing: it is logged where the optimizer's groups have one",
    "loss_scale": "nothing: it is logged where there is a GradScaler",
}
#: What only some trainings have: nothing is missing where it is not there.
_OPTIONAL = {"val_loss", "loss_scale", "attention"}


def missing(rules: Sequence[Rule], streams: Collection[str], logged: Collection[str]) -> tuple[Missing, ...]:
    there = {*streams, *logged}
    if any(map(is_loss, logged)):
        there.add("loss")
    if any(map(is_held_out, logged)):
        there.add("val_loss")
    if any(name.startswith("lr/") for name in logged):
        there.add("lr")
    found = []
    for rule in rules:
        absent = tuple(name for name in (*rule.needs, *rule.logged) if name not in there)
        if absent and not _OPTIONAL & set(absent):
            advice = " and ".join(_SWITCHES.get(name, f"the stream {name}") for name in absent)
            found.append(Missing(rule.name, rule.type, absent, advice))
    return tuple(found)
