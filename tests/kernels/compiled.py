"""Compiles the kernels for sm_90 without a GPU and prints what ptxas made of them, as JSON, for ``test_compiled.py``.

{kernel: {"registers": int, "stack": int, "local": int, "opcodes": [str]}}, kernels named after their dtype, with
" scaled" behind it for those that take an inverse scale, or "merge".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gradhealth_kernels.chunks import LARGEST
from gradhealth_kernels.pair import MERGE_CONSTANTS, FusedPair
from gradhealth_kernels.statistics import NEAR_ZERO

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
ALIGNED = [["tt.divisibility", 16]]


def compiled(kernel: Any, pointers: dict[str, str], numbers: list[str], constants: dict[str, Any]) -> dict[str, Any]:
    names = kernel.arg_names
    signature = {name: pointers.get(name, "i32" if name in numbers else "constexpr") for name in names}
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): ALIGNED for name in pointers},
    )
    options = {"num_warps": 4, "enable_fp_fusion": True}
    binary = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["cubin"]
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        usage = subprocess.check_output([TOOLS / "cuobjdump", "-res-usage", file.name], text=True)
        listing = subprocess.check_output([TOOLS / "cuobjdump", "-sass", file.name], text=True)
    sizes = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", usage))
    opcodes = re.findall(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)", listing, re.MULTILINE)
    named = {"registers": sizes["REG"], "stack": sizes["STACK"], "local": sizes["LOCAL"]}
    return {name: int(size) for name, size in named.items()} | {"opcodes": opcodes}


def main() -> None:
    pair: Any = FusedPair(torch.device("cpu"), 1, NEAR_ZERO)
    tables = {"table": "*i64", "chunk_words": "*i64"}
    chunk_pointers = tables | {"chunk_tensor": "*i32", "chunk_index": "*i32"}
    made = {}
    for dtype in pair._types:
        for scaled in (False, True):
            name = str(dtype).removeprefix("torch.") + " scaled" * scaled
            constants = pair._constants(dtype, scaled) | {"CHUNK": LARGEST}
            pointers = chunk_pointers | {"inverse_scale": "*fp32"} if scaled else chunk_pointers
            if not scaled:
                constants["inverse_scale"] = None
            made[name] = compiled(pair._kernels.chunk_entries, pointers, ["tensors", "first"], constants)
    merge_pointers = tables | {"starts": "*i32", "stops": "*i32", "out": "*i64"}
    made["merge"] = compiled(pair._kernels.tensor_entries, merge_pointers, ["tensors"], MERGE_CONSTANTS)
    json.dump(made, sys.stdout)


main()
