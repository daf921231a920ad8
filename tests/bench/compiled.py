"""Compiles the contenders' kernels for sm_90 without a GPU and prints what ptxas made of them, as JSON."""

from __future__ import annotations

import json
import sys

from bench.kernels import read_kernels
from bench.kernels.launched import BLOCK, SHAPES
from gradhealth_kernels.chunks import LARGEST
from tests.kernels.sass import compiled, read

TABLES = {"table": "*i64", "chunk_tensor": "*i32", "chunk_index": "*i32", "chunk_words": "*i64"}


def main() -> None:
    made = {}
    for rows in (min(SHAPES)[0], max(SHAPES)[0]):
        for size in (2, 4):
            constants = {"BYTES": size, "CHUNK": LARGEST, "ROWS": rows}
            name = f"read {rows} rows, {size} bytes"
            made[name] = compiled(read_kernels.fold_chunks, TABLES, ["tensors", "first"], constants)
    made["norm"] = compiled(read_kernels.add_sum_sq, {"x": "*bf16", "out": "*fp32"}, ["size"], {"BLOCK": BLOCK})
    json.dump({name: kernel.as_json() for name, kernel in read(made).items()}, sys.stdout)


main()
