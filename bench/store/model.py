"""The tensors of a GPT, as the store sees them: names, shapes, and the schema of their recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import COUNTS, NEAR_ZERO
from tb_gradhealth import nodes
from tb_gradhealth.store.format import MetricInfo, NodeInfo, Schema

WIDTH, VOCABULARY, CONTEXT = 768, 50_304, 1024
#: Tensors of a block, and those outside of the blocks.
BLOCK = {
    "ln_1.weight": (WIDTH,),
    "ln_1.bias": (WIDTH,),
    "attn.c_attn.weight": (WIDTH, 3 * WIDTH),
    "attn.c_attn.bias": (3 * WIDTH,),
    "attn.c_proj.weight": (WIDTH, WIDTH),
    "attn.c_proj.bias": (WIDTH,),
    "ln_2.weight": (WIDTH,),
    "ln_2.bias": (WIDTH,),
    "mlp.c_fc.weight": (WIDTH, 4 * WIDTH),
    "mlp.c_fc.bias": (4 * WIDTH,),
    "mlp.c_proj.weight": (4 * WIDTH, WIDTH),
    "mlp.c_proj.bias": (WIDTH,),
}
BEFORE = {"wte.weight": (VOCABULARY, WIDTH), "wpe.weight": (CONTEXT, WIDTH)}
BEHIND = {"ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,)}


@dataclass(frozen=True)
class Model:
    """``shapes`` in model order, by name."""

    shapes: dict[str, tuple[int, ...]]

    @property
    def tree(self) -> nodes.Tree:
        return nodes.build(list(self.shapes))

    @property
    def sizes(self) -> list[int]:
        """Elements of each tensor."""
        return [math.prod(shape) for shape in self.shapes.values()]

    def schema(self, every: int, session: str) -> Schema:
        """As the writer would make it for gradients, all metrics."""
        tree = self.tree
        return Schema(
            session=session,
            stream="gradients",
            label="Gradients (applied)",
            wall_time=1_700_000_000.0,
            start_step=0,
            every=every,
            near_zero=NEAR_ZERO,
            counts=COUNTS,
            metrics=tuple(MetricInfo(m.name, m.label, m.unit, m.kind, m.scale, m.over, m.meaning) for m in METRICS),
            nodes=tuple(
                NodeInfo(name, kind, self.shapes[name], "float32") if kind == "tensor" else NodeInfo(name, kind)
                for name, kind in zip(tree.names, tree.kinds, strict=True)
            ),
        )


def gpt(tensors: int) -> Model:
    """A GPT with ``tensors`` tensors, a number of the form 12 blocks + 4."""
    blocks, rest = divmod(tensors - len(BEFORE) - len(BEHIND), len(BLOCK))
    if blocks < 1 or rest:
        raise ValueError(f"expected 16, 28, 40, … tensors, got {tensors}: each block has {len(BLOCK)}")
    inner = {f"h.{block}.{name}": shape for block in range(blocks) for name, shape in BLOCK.items()}
    return Model({**BEFORE, **inner, **BEHIND})
