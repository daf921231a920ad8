"""Compiles every kernel without a GPU and prints what ptxas made of it, as JSON, for ``test_compiled.py``.

{name: :class:`.sass.Compiled`}. Names are words: the capability, the dtype or the kernel, then what it is compiled for
("asm", "scaled", "in place", "signed", "aligned").
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch

from gradhealth_kernels import dead_rows
from gradhealth_kernels.constants import IN_PLACE, READ, SCALED, Variant
from gradhealth_kernels.exponent_table import BINS
from gradhealth_kernels.exponents import MERGE_BLOCK, FusedExponents
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.statistics import NEAR_ZERO

from .sass import Cubin, compiled, read

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
CPU = torch.device("cpu")
NUMBERS = ["tensors", "first", "chunk_elements"]
TABLES = {"table": "*i64", "chunk_words": "*i64"}
CHUNKS = TABLES | {"chunk_tensor": "*i32", "chunk_index": "*i32"}
FACTORS: dict[Variant, dict[str, str]] = {READ: {}, SCALED: {"factor_at": "*fp32"}, IN_PLACE: {"factor_at": "*fp64"}}


def settings() -> Iterator[tuple[int, bool, bool, Variant]]:
    """(capability, asm, signed, variant). The signed extremes are for streams that nobody scales."""
    for asm in (False, True):
        yield from ((90, asm, False, variant) for variant in (READ, SCALED, IN_PLACE))
    yield 90, False, True, READ
    yield from ((80, False, False, variant) for variant in (READ, IN_PLACE))


def main() -> None:
    made: dict[str, Cubin] = {}
    for (capability, asm, signed, variant), dtype in product(settings(), DTYPES):
        if asm and dtype is torch.float64:
            continue  # has none
        pair: Any = FusedPair(CPU, 1, NEAR_ZERO, signed=signed, asm=asm)
        constants = dict(pair._constants(dtype, variant))
        if variant is READ:
            constants["factor_at"] = None
        words = [f"sm_{capability}", str(dtype).removeprefix("torch."), "asm" * asm, "signed" * signed]
        words.append("" if variant is READ else str(variant))
        kernel, pointers = pair._kernels.chunk_entries, CHUNKS | FACTORS[variant]
        name = " ".join(filter(None, words))
        made[name] = compiled(kernel, pointers, NUMBERS, constants, capability)
    pointers = TABLES | {"starts": "*i32", "stops": "*i32", "out": "*i64"}
    for capability in (80, 90):
        pair = FusedPair(CPU, 1, NEAR_ZERO)
        merge = compiled(pair._kernels.tensor_entries, pointers, ["tensors"], pair._merge, capability)
        made[f"sm_{capability} merge"] = merge
        norm = compiled(
            pair._kernels.total_norm, {"rows": "*i64", "norm": "*fp64"}, ["tensors"], pair._norm, capability
        )
        made[f"sm_{capability} norm"] = norm
    made |= {f"sm_90 exponents {name}": cubin for name, cubin in exponents()}
    made |= {f"sm_90 rows {name}": cubin for name, cubin in rows()}
    json.dump({name: kernel.as_json() for name, kernel in read(made).items()}, sys.stdout)


def exponents() -> Iterator[tuple[str, Cubin]]:
    fused: Any = FusedExponents(CPU, 1)
    pointers = {"table": "*i64", "chunk_tensor": "*i32", "chunk_index": "*i32", "chunk_counts": "*i32"}
    for dtype, scaled in product(DTYPES, (False, True)):
        constants = fused.constants(dtype, scaled) | ({} if scaled else {"inverse_scale": None})
        factor = {"inverse_scale": "*fp32"} if scaled else {}
        kernel = compiled(fused._kernels.chunk_exponents, pointers | factor, ["tensors", "first", "chunk"], constants)
        yield str(dtype).removeprefix("torch.") + " scaled" * scaled, kernel
    pointers = {"starts": "*i32", "stops": "*i32", "chunk_counts": "*i32", "out": "*i64"}
    yield "merge", compiled(fused._kernels.tensor_exponents, pointers, [], {"BINS": BINS, "BLOCK": MERGE_BLOCK})


def rows() -> Iterator[tuple[str, Cubin]]:
    fused: Any = dead_rows.FusedRows(CPU, 1, NEAR_ZERO)
    pointers = {"table": "*i64", "tile_tensor": "*i32", "tile_index": "*i32", "alive": "*u8"}
    for dtype, aligned, scaled in product(DTYPES, (False, True), (False, True)):
        vector = (2 if dtype is torch.float64 else 4) if aligned else 1
        constants = fused.constants((dtype, vector), scaled) | ({} if scaled else {"inverse_scale": None})
        factor = {"inverse_scale": "*fp32"} if scaled else {}
        kernel = compiled(fused._kernels.mark_alive, pointers | factor, ["tensors", "first", "part"], constants)
        yield str(dtype).removeprefix("torch.") + " aligned" * aligned + " scaled" * scaled, kernel
    pointers = {"table": "*i64", "alive": "*u8", "out": "*fp64"}
    constants = {"BLOCK": dead_rows.COUNT_BLOCK}
    yield "count", compiled(fused._kernels.count_dead, pointers, ["tensors"], constants)


if __name__ == "__main__":
    main()
