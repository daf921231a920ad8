"""What ptxas makes of the kernels for sm_90, in a process where Triton does not interpret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.triton_processes import compiled, needs_compiler

NARROW = ("float16", "bfloat16")
STREAMED = (*NARROW, "float32")
VARIANTS = ("", " scaled", " in place")
KERNELS = (
    *(f"sm_90 {dtype}{variant}" for dtype in (*STREAMED, "float64") for variant in VARIANTS),
    *(f"sm_90 {dtype} asm{variant}" for dtype in STREAMED for variant in VARIANTS),
    *(f"sm_90 {dtype} signed" for dtype in (*STREAMED, "float64")),
    *(f"sm_80 {dtype}{variant}" for dtype in (*STREAMED, "float64") for variant in ("", " in place")),
    *(f"sm_{capability} {name}" for capability in (80, 90) for name in ("merge", "norm")),
)
EXPONENTS = (
    *(f"sm_90 exponents {dtype}{scaled}" for dtype in (*STREAMED, "float64") for scaled in ("", " scaled")),
    "sm_90 exponents merge",
)
ROWS = (
    *(
        f"sm_90 rows {dtype}{aligned}{scaled}"
        for dtype in (*STREAMED, "float64")
        for aligned in ("", " aligned")
        for scaled in ("", " scaled")
    ),
    "sm_90 rows count",
)
OF_STREAMED = tuple(name for name in KERNELS if name.split()[1] in STREAMED)


pytestmark = needs_compiler


@pytest.fixture(scope="module")
def kernels() -> dict[str, Any]:
    return compiled("tests.kernels.compiled")


def size(name: str) -> int:
    return 2 if name.split()[1] in NARROW else 4


def main_loop(made: dict[str, Any]) -> dict[str, Any]:
    """The loop that reads most."""
    loops: list[dict[str, Any]] = made["loops"]
    return max(loops, key=lambda loop: sum(loop["loaded"].values()))


def test_every_kernel_is_looked_at(kernels: dict[str, Any]) -> None:
    assert sorted(kernels) == sorted((*KERNELS, *EXPONENTS, *ROWS))


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_is_atomic_so_results_are_reproducible(kernels: dict[str, Any], name: str) -> None:
    assert "LDG" in kernels[name]["opcodes"]
    assert kernels[name]["opcodes"].keys() & {"ATOM", "ATOMG", "ATOMS", "RED", "REDG"} == set()


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_spills(kernels: dict[str, Any], name: str) -> None:
    made = kernels[name]
    assert made["opcodes"].keys() & {"STL", "LDL"} == set()
    assert (made["local"], made["stack"]) == (0, 0)
    assert made["registers"] <= (64 if "merge" not in name else 80)


@pytest.mark.parametrize("name", EXPONENTS)
def test_a_histogram_is_counted_within_its_program(kernels: dict[str, Any], name: str) -> None:
    """Shared memory may count atomically: whole numbers add up to the same in any order."""
    made = kernels[name]
    assert "LDG" in made["opcodes"]
    assert made["opcodes"].keys() & {"ATOM", "ATOMG", "RED", "REDG", "STL", "LDL"} == set()
    assert made["local"] == 0
    assert made["registers"] <= 80


@pytest.mark.parametrize("name", ROWS)
def test_dead_rows_are_found_without_atomics_or_spills(kernels: dict[str, Any], name: str) -> None:
    made = kernels[name]
    assert "LDG" in made["opcodes"]
    assert made["opcodes"].keys() & {"ATOM", "ATOMG", "ATOMS", "RED", "REDG", "STL", "LDL"} == set()
    assert made["local"] == 0
    assert made["stack"] <= (8 if "float64" in name else 0)  # reserved, never used
    assert made["registers"] <= (48 if "aligned" in name else 80)


@pytest.mark.parametrize("name", [name for name in ROWS if "aligned" in name])
def test_aligned_rows_are_read_16_bytes_at_once(kernels: dict[str, Any], name: str) -> None:
    assert main_loop(kernels[name])["loaded"] == {"16": 64}


@pytest.mark.parametrize("name", OF_STREAMED)
def test_the_main_loop_loads_16_bytes_at_once_and_nothing_else(kernels: dict[str, Any], name: str) -> None:
    loop = main_loop(kernels[name])
    assert list(loop["loaded"]) == ["16"]
    tiles = 2 if size(name) == 2 and ("scaled" in name or "in place" in name) else 4
    assert loop["loaded"]["16"] == tiles * 16


@pytest.mark.parametrize("name", [name for name in OF_STREAMED if len(name.split()) == 2 or name.endswith("asm")])
def test_the_main_loop_is_short_enough_for_the_memory_to_be_the_limit(kernels: dict[str, Any], name: str) -> None:
    loop = main_loop(kernels[name])
    elements = loop["loaded"]["16"] / size(name)
    plain, packed = (13.0, 8.5) if size(name) == 2 else (16.0, 11.0)
    assert loop["instructions"] / elements <= (packed if name.endswith("asm") else plain)


def test_a_loop_is_told_from_its_listing() -> None:
    """The reader of listings, on one written by hand."""
    from .sass import _INSTRUCTION, _loops

    listing = """
        /*0000*/                   MOV R1, c[0x0][0x28] ;
        /*0010*/                   LDG.E.128 R4, [R2.64] ;
        /*0020*/              @!P0 LDG.E.U16 R8, [R2.64+0x10] ;
        /*0030*/                   FADD R9, R4, R5 ;
        /*0040*/               @P1 BRA 0x10 ;
        /*0050*/                   EXIT ;
        /*0060*/                   BRA 0x60;
    """
    found = _loops([(int(at, 16), opcode, rest) for at, opcode, rest in _INSTRUCTION.findall(listing)])
    assert [(loop.instructions, loop.loaded) for loop in found] == [(4, {16: 16, 2: 2})]
