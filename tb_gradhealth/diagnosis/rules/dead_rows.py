"""Output neurons without gradient: dead units seen from the gradients alone, where activations were not recorded."""

from __future__ import annotations

from collections.abc import Iterable

from ..modules import RELU
from ..rule import Cause, Hit, Rule, View, evidence, hits
from .dead_units import severity_of


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if now.modules is not None and now.modules.any_like(RELU):
        return []
    parameters = now.parameters
    dead = now.values("dead_rows", "dead_row_fraction")
    many = parameters.matrix & ~parameters.head & (dead >= view.by_node("share", parameters.names)) & (dead < 1)
    many &= dead * parameters.rows >= view["rows"]
    held = view.held("dead", many, 20)
    of_many = severity_of(now, False, view["patience"])
    return hits(
        parameters.names,
        held,
        lambda place: evidence("rows without gradient", dead[place], view["share"], "share of output neurons"),
        lambda place: None if dead[place] >= view["nearly_all"] else of_many,
    )


RULE = Rule(
    name="dead_rows",
    type="DEAD",
    severity="high",
    look=look,
    needs={"gradients": (), "dead_rows": ("dead_row_fraction",)},
    logged=("loss",),
    causes=(
        Cause("units that are silent for every sample", ("SCALE_MISMATCH",)),
        Cause("a learning rate so high that biases were pushed below zero", ("UNSTABLE", "EXPLODING")),
    ),
    actions=(
        'record activations="auto" to see which units are silent',
        "normalise the inputs, put LayerNorm in front of the layer",
        "replace ReLU by LeakyReLU(0.01), GELU or SiLU",
    ),
    innocent="with few samples in a batch other units may lack a gradient each time; sparse networks do by design",
    thresholds={"share": 0.5, "rows": 4.0, "nearly_all": 0.85, "patience": 60.0},
)
