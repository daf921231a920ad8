"""What to switch on for rules that had nothing to look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
    "lr": "a learning rate in the optimizer's groups",
    "loss_scale": "a GradScaler",
}
#: What only some trainings have: nothing is missing where it is not there.
_OPTIONAL = {"val_loss", "loss_scale", "attention"}


def kinds(logged: Collection[str]) -> set[str]:
    """Which of the scalars that rules look at are among those of these names."""
    found = {name for name in ("lr", "loss_scale") if name in logged}
    if any(map(is_loss, logged)):
        found.add("loss")
    if any(map(is_held_out, logged)):
        found.add("val_loss")
    if any(name.startswith("lr/") for name in logged):
        found.add("lr")
    return found


def missing(
    rules: Sequence[Rule], streams: Mapping[str, Collection[str]], logged: Collection[str]
) -> tuple[Missing, ...]:
    """``streams``: of each that was recorded its metrics; ``logged``: as :func:`kinds` tells."""
    found = []
    for rule in rules:
        absent = tuple(name for name in (*rule.needs, *rule.logged) if name not in {*streams, *logged})
        advice = [_SWITCHES.get(name, f"the stream {name}") for name in absent]
        left_out = {
            metric: stream
            for stream, metrics in rule.needs.items()
            for metric in metrics
            if metric not in streams.get(stream, metrics)
        }
        if left_out:
            advice.append(f"metrics= with {', '.join(left_out)}")
        if (absent or left_out) and not _OPTIONAL & set(absent):
            needs = (*absent, *(f"{stream}/{metric}" for metric, stream in left_out.items()))
            found.append(Missing(rule.name, rule.type, needs, " and ".join(advice)))
    return tuple(found)
