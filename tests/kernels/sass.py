"""What ptxas made of a kernel: registers, memory that it spilled to, and the instructions of its loops."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
ALIGNED = [["tt.divisibility", 16]]
_INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)\s*([^;]*);", re.MULTILINE)
_WIDTH = re.compile(r"\.(U8|S8|U16|S16|64|128)\b")
_BYTES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}


@dataclass(frozen=True)
class Loop:
    """A loop that no other loop is in. ``loaded`` is bytes of global memory per thread and turn, by width of load."""

    instructions: int
    loaded: dict[int, int]


@dataclass(frozen=True)
class Compiled:
    """``stack`` and ``local`` in bytes, ``opcodes`` without their suffixes."""

    registers: int
    stack: int
    local: int
    opcodes: dict[str, int]
    loops: list[Loop]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Cubin:
    """``elf`` holds one kernel."""

    capability: int
    elf: bytes

    def code(self) -> bytes:
        """The kernel's instructions."""
        (headers,) = struct.unpack_from("<Q", self.elf, 0x28)
        sections, names = struct.unpack_from("<HH", self.elf, 0x3C)
        found = [struct.unpack_from("<IIQQQQ", self.elf, headers + 64 * index) for index in range(sections)]
        (code,) = (
            self.elf[offset : offset + size]
            for name, _, _, _, offset, size in found
            if self.elf.startswith(b".text.", found[names][4] + name)
        )
        return code


def compiled(
    kernel: Any, pointers: dict[str, str], numbers: list[str], constants: dict[str, Any], capability: int = 90
) -> Cubin:
    """``kernel`` for a capability (90: sm_90), its pointers 16-byte aligned; ``numbers`` are int32 arguments."""
    names = kernel.arg_names
    signature = {name: pointers.get(name, "i32" if name in numbers else "constexpr") for name in names}
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): ALIGNED for name in pointers},
    )
    options = {"num_warps": 4, "enable_fp_fusion": True}
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["cubin"]
    return Cubin(capability, binary)


def read(cubins: Mapping[str, Cubin]) -> dict[str, Compiled]:
    """By the same names. The disassembler takes most of its time to start, so it reads a capability's all at once."""
    made = {}
    for capability in sorted({cubin.capability for cubin in cubins.values()}):
        codes = {name: cubin.code() for name, cubin in cubins.items() if cubin.capability == capability}
        listing = _said("nvdisasm", b"".join(codes.values()), "--binary", f"SM{capability}")
        instructions = [(int(at, 16), opcode, rest) for at, opcode, rest in _INSTRUCTION.findall(listing)]
        begin = 0
        for name, code in codes.items():
            own = [instruction for instruction in instructions if begin <= instruction[0] < begin + len(code)]
            begin += len(code)
            usage = _said("cuobjdump", cubins[name].elf, "-res-usage")
            sizes = {kind: int(size) for kind, size in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
            opcodes = Counter(opcode.split(".")[0] for _, opcode, _ in own)
            made[name] = Compiled(sizes["REG"], sizes["STACK"], sizes["LOCAL"], dict(opcodes), _loops(own))
    return made


def _said(tool: str, about: bytes, *arguments: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(about)
        file.flush()
        command = [TOOLS / tool, *arguments, file.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _loops(instructions: list[tuple[int, str, str]]) -> list[Loop]:
    spans = []
    for at, opcode, rest in instructions:
        target = re.search(r"0x([0-9a-f]+)\s*$", rest) if opcode.startswith("BRA") else None
        if target and int(target[1], 16) < at:  # one that branches to itself ends the code
            spans.append((int(target[1], 16), at))
    loops = []
    for first, last in spans:
        if any((a, b) != (first, last) and first <= a and b <= last for a, b in spans):
            continue
        body = [opcode for at, opcode, _ in instructions if first <= at <= last]
        loaded: Counter[int] = Counter()
        for opcode in body:
            if opcode.startswith("LDG"):
                width = _WIDTH.search(opcode)
                size = _BYTES[width[1]] if width else 4
                loaded[size] += size
        loops.append(Loop(len(body), dict(loaded)))
    return loops
