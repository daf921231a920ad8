"""The kernels' compile-time constants, derived from the tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from .cpu import HIGH, LOW
from .elements import EIGHT_BIT, OF_ZERO, bits_from, infinity_bits, saturated_from
from .statistics import BIG_FROM, BIG_SCALE, INDEX, SIGNED_ENTRIES, SMALL_BELOW, SMALL_SCALE, Entry, table

WARPS = 4
#: Of a tile; a thread loads one row of four words.
ROWS = 32 * WARPS
MERGE_BLOCK, NORM_BLOCK = 64, 256
#: Tiles in flight per thread. Twice as many accumulations per tile take twice as many registers.
UNROLL, UNROLL_SCALED = 4, 2


class Variant(NamedTuple):
    """What stage 1 is compiled for beside a dtype: x itself, x times a factor, or that written back in its place."""

    scaled: bool = False
    in_place: bool = False

    def __str__(self) -> str:
        return "in place" if self.in_place else "scaled" if self.scaled else "as they are"


READ, SCALED, IN_PLACE = Variant(), Variant(scaled=True), Variant(scaled=True, in_place=True)


def of_chunks(dtype: torch.dtype, near_zero: float, variant: Variant, signed: bool, asm: bool) -> dict[str, Any]:
    """Stage 1's but for DTYPE. FP8 is read as float32, with the saturation threshold of its own dtype."""
    read_as = torch.float32 if dtype in EIGHT_BIT else dtype
    double = read_as is torch.float64
    low, high = (SMALL_BELOW, BIG_FROM) if double else (LOW, HIGH)
    compared_as = torch.float32 if variant == SCALED and not double else read_as
    return {
        "BYTES": read_as.itemsize,
        "ROWS": ROWS,
        "UNROLL": UNROLL_SCALED if variant.scaled and read_as.itemsize == 2 else UNROLL,
        "WORDS": len(table(signed)),
        "NEAR_ZERO": bits_from(near_zero, compared_as),
        "SATURATED": bits_from(saturated_from(dtype), compared_as),
        "INFINITY": infinity_bits(compared_as),
        "LOW": bits_from(low, compared_as),
        "HIGH": bits_from(high, compared_as),
        "BIG_SCALE": BIG_SCALE,
        "SMALL_SCALE": SMALL_SCALE,
        "SCALED": variant.scaled,
        "IN_PLACE": variant.in_place,
        "SIGNED": signed,
        "ASM": asm and not double,
    }


def of_merge(signed: bool) -> dict[str, int]:
    """Stage 2's."""
    entries = table(signed)

    def columns(chosen: Iterable[Entry]) -> int:
        return sum(1 << entries.index(entry) for entry in chosen)

    return {
        "WORDS": len(entries),
        "COLUMNS": 1 << (len(entries) - 1).bit_length(),
        "BLOCK": MERGE_BLOCK,
        "FLOATS": columns(entry for entry in entries if entry.dtype == "float64"),
        "MAXIMA": columns(entry for entry in entries if entry.combine == "max"),
        "MINIMA": columns(entry for entry in entries if entry.combine == "min"),
        "SIGNED": columns(entry for entry in entries if entry in SIGNED_ENTRIES),
        "ZEROS": columns(entry for entry in entries if entry.name in OF_ZERO),
    }


def of_norm(signed: bool) -> dict[str, Any]:
    """The total norm's."""
    names = ("nan", "pos_inf", "neg_inf", "sum_sq", "sum_sq_big", "sum_sq_small")
    return {name.upper(): INDEX[name] for name in names} | {
        "WORDS": len(table(signed)),
        "BLOCK": NORM_BLOCK,
        "BIG_SCALE": BIG_SCALE,
        "SMALL_SCALE": SMALL_SCALE,
    }
