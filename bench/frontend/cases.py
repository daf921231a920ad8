"""What is looked at: recordings of a language model with as many rows as asked for, all of it unfolded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..store.cases import Case
from ..store.model import Model

WIDTH, VOCABULARY, HEADS = 4096, 128_256, 1024
LAYER = {
    "input_layernorm.weight": (WIDTH,),
    "self_attn.q_proj.weight": (WIDTH, WIDTH),
    "self_attn.k_proj.weight": (HEADS, WIDTH),
    "self_attn.v_proj.weight": (HEADS, WIDTH),
    "self_attn.o_proj.weight": (WIDTH, WIDTH),
    "post_attention_layernorm.weight": (WIDTH,),
    "mlp.gate_proj.weight": (3 * WIDTH, WIDTH),
    "mlp.up_proj.weight": (3 * WIDTH, WIDTH),
    "mlp.down_proj.weight": (WIDTH, 3 * WIDTH),
}
#: Rows of a layer: its tensors, the modules that hold one each, attention, MLP and the layer itself.
ROWS_OF_LAYER = 2 * len(LAYER) + 3
#: Rows of the whole run, `model`, `model.layers`, and two each of the tensors outside of the layers.
ROWS_BESIDE = 9
#: Rows of the module that fills up what is left, at least: itself, and a head with its tensor.
LEAST_LEFT = 3


def decoder(rows: int) -> Model:
    """A decoder with ``rows`` nodes. What no whole layer fills are heads, of which the first may have a bias."""
    layers = (rows - ROWS_BESIDE - LEAST_LEFT) // ROWS_OF_LAYER
    if layers < 1:
        raise ValueError(f"expected {ROWS_BESIDE + LEAST_LEFT + ROWS_OF_LAYER} rows or more, got {rows}")
    heads, has_bias = divmod(rows - ROWS_BESIDE - layers * ROWS_OF_LAYER - 1, 2)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for layer in range(layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in LAYER.items()}
    shapes |= {"model.norm.weight": (WIDTH,), "lm_head.weight": (VOCABULARY, WIDTH)}
    for head in range(heads):
        shapes[f"value_heads.{head}.weight"] = (1, WIDTH)
        if head == 0 and has_bias:
            shapes["value_heads.0.bias"] = (1,)
    return Model(shapes)


@dataclass(frozen=True)
class Sized(Case):
    """A recording with ``rows`` nodes; :func:`sized` knows how many tensors these are."""

    rows: int = 0

    @cached_property
    def model(self) -> Model:
        return decoder(self.rows)

    @property
    def label(self) -> str:
        tiers = "both tiers" if self.archive else "event tier only"
        return f"{self.rows:,} rows × {self.steps:,} steps, {tiers}"


def sized(name: str, rows: int, steps: int, **more: Any) -> Sized:
    return Sized(name, len(decoder(rows).shapes), steps, rows=rows, **more)


CASES = (
    sized("wide", 2241, 65_536, events=600),
    sized("huge", 10_000, 1_000_000, events=600, archive=False, sampled=True, pace=1.0),
)

#: A quick look at the same.
SMALL = (
    sized("wide", 120, 4096, events=60),
    sized("huge", 310, 20_480, events=60, archive=False, sampled=True, pace=1.0),
)
