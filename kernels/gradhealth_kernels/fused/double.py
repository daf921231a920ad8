"""Stage 1 for float64: plain rather than fast, since it is rare in training."""

import triton
import triton.language as tl

from .parts import integers, scaled, split, write_counts, write_range, write_sums


@triton.jit
def double(
    words,
    address,
    size,
    factor,
    ROWS: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SATURATED: tl.constexpr,
    INFINITY: tl.constexpr,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    BIG_SCALE: tl.constexpr,
    SMALL_SCALE: tl.constexpr,
    SCALED: tl.constexpr,
    IN_PLACE: tl.constexpr,
    SIGNED: tl.constexpr,
):
    """A chunk of float64 in float64, with Blue's three accumulators."""
    pointer = integers(address, 8)
    offsets = tl.arange(0, ROWS)
    none = tl.zeros([ROWS], tl.int32)
    zero, near_zero, saturated, nan, pos_inf, neg_inf = none, none, none, none, none, none
    nothing = tl.zeros([ROWS], tl.float64)
    total, total_abs, abs_max = nothing, nothing, nothing
    total_sq, total_sq_big, total_sq_small = nothing, nothing, nothing
    lowest, highest = nothing + float("inf"), nothing - float("inf")
    for i in range(0, size, ROWS):
        valid = offsets < size - i
        bits = tl.load(pointer + i + offsets, mask=valid, other=0)
        if SCALED:
            bits = scaled(bits, valid, factor, tl.float64, IN_PLACE)
        if IN_PLACE:
            tl.store(pointer + i + offsets, bits, mask=valid)
        magnitude, x = split(bits, tl.float64)
        zero += (valid & (magnitude == 0)).to(tl.int32)
        near_zero += (valid & (magnitude < NEAR_ZERO)).to(tl.int32)
        saturated += ((magnitude >= SATURATED) & (magnitude <= INFINITY)).to(tl.int32)
        nan += (magnitude > INFINITY).to(tl.int32)
        pos_inf += (bits == INFINITY).to(tl.int32)
        neg_inf += ((magnitude == INFINITY) & (bits < 0)).to(tl.int32)
        if SIGNED:
            counted = valid & (magnitude < INFINITY)
            lowest = tl.minimum(lowest, tl.where(counted, x, float("inf")))
            highest = tl.maximum(highest, tl.where(counted, x, -float("inf")))
        x = tl.where(magnitude < INFINITY, x, 0.0)
        total += x
        total_abs += tl.abs(x)
        abs_max = tl.maximum(abs_max, tl.abs(x))
        big = tl.where(magnitude > HIGH, x * BIG_SCALE, 0.0)
        small = tl.where(magnitude < LOW, x * SMALL_SCALE, 0.0)
        total_sq += tl.where((magnitude > HIGH) | (magnitude < LOW), 0.0, x * x)
        total_sq_big += big * big
        total_sq_small += small * small
    saturated, nan = tl.sum(saturated, 0), tl.sum(nan, 0)
    pos_inf, neg_inf = tl.sum(pos_inf, 0), tl.sum(neg_inf, 0)
    total_sq = tl.sum(total_sq, 0)
    total_sq_big = tl.sum(total_sq_big, 0)
    total_sq_small = tl.sum(total_sq_small, 0)
    write_counts(words, size, tl.sum(zero, 0), tl.sum(near_zero, 0), saturated, nan, pos_inf, neg_inf)
    write_sums(
        words, tl.sum(total, 0), tl.sum(total_abs, 0), total_sq, total_sq_big, total_sq_small, tl.max(abs_max, 0)
    )
    if SIGNED:
        write_range(words, tl.min(lowest, 0), tl.max(highest, 0))
