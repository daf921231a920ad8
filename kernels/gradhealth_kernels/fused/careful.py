"""The rare second read of a chunk that has a NaN, an infinity, saturated or extreme values."""

import triton
import triton.language as tl

from .parts import integers, scaled, split, write_counts, write_range, write_sums


@triton.jit
def careful(
    words,
    address,
    size,
    factor,
    zero,
    near_zero,
    DTYPE: tl.constexpr,
    COMPARED: tl.constexpr,
    BYTES: tl.constexpr,
    TILE: tl.constexpr,
    SATURATED: tl.constexpr,
    INFINITY: tl.constexpr,
    SCALED: tl.constexpr,
    SIGNED: tl.constexpr,
):
    """Once for NaN, infinities, saturation and the largest finite |x|, once for sums scaled by that.

    SCALED: the chunk holds x, its entries are those of x * factor, which is compared as COMPARED.
    """
    INTEGER: tl.constexpr = tl.int32 if COMPARED == tl.float32 else tl.int16
    pointer = integers(address, BYTES)
    offsets = tl.arange(0, TILE)
    none = tl.zeros([TILE], tl.int32)
    nan, pos_inf, neg_inf, saturated, largest = none, none, none, none, none
    nothing = tl.zeros([TILE], tl.float32)
    lowest, highest = nothing + float("inf"), nothing - float("inf")
    for i in range(0, size, TILE):
        valid = offsets < size - i
        bits = tl.load(pointer + i + offsets, mask=valid, other=0)
        if SCALED:
            bits = scaled(bits, valid, factor, DTYPE, False)
        magnitude, x = split(bits, COMPARED)
        nan += (magnitude > INFINITY).to(tl.int32)
        pos_inf += (bits == INFINITY).to(tl.int32)
        neg_inf += ((magnitude == INFINITY) & (bits < 0)).to(tl.int32)
        saturated += (magnitude >= SATURATED).to(tl.int32)
        largest = tl.maximum(largest, tl.where(magnitude < INFINITY, magnitude, 0).to(tl.int32))
        if SIGNED:
            counted = valid & (magnitude < INFINITY)
            lowest = tl.minimum(lowest, tl.where(counted, x, float("inf")))
            highest = tl.maximum(highest, tl.where(counted, x, -float("inf")))
    _, abs_max = split(tl.max(largest, 0).to(INTEGER), COMPARED)

    # A power of two, so exact, that brings the largest magnitude to about 1; clamped to the normal numbers.
    exponent = tl.maximum(254 - (abs_max.to(tl.int32, bitcast=True) >> 23), 1)
    scale = (exponent << 23).to(tl.float32, bitcast=True)
    total, total_abs, total_sq = nothing, nothing, nothing
    for i in range(0, size, TILE):
        valid = offsets < size - i
        bits = tl.load(pointer + i + offsets, mask=valid, other=0)
        if SCALED:
            bits = scaled(bits, valid, factor, DTYPE, False)
        magnitude, x = split(bits, COMPARED)
        x = tl.where(magnitude < INFINITY, x, 0.0) * scale
        total += x
        total_abs += tl.abs(x)
        total_sq += x * x
    # 1 / scale by its bits: a division of doubles is a call, which takes a stack.
    back = ((1023 + 127 - exponent).to(tl.int64) << 52).to(tl.float64, bitcast=True)
    nans = tl.sum(nan, 0)
    no = nans * 0
    saturations = tl.sum(saturated, 0) - nans
    write_counts(words, size, zero, near_zero, saturations, nans, tl.sum(pos_inf, 0), tl.sum(neg_inf, 0))
    sum_sq = tl.sum(total_sq, 0) * back * back
    write_sums(words, tl.sum(total, 0) * back, tl.sum(total_abs, 0) * back, sum_sq, no, no, abs_max)
    if SIGNED:
        write_range(words, tl.min(lowest, 0), tl.max(highest, 0))
