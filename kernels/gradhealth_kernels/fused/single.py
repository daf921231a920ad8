"""Stage 1 for float16, bfloat16 and float32: whole tiles with loads of 16 bytes, then what is left at either end."""

import triton
import triton.language as tl

from .careful import careful
from .parts import split, write_counts, write_range, write_sums
from .words import magnitudes, maximum, reaching, values


@triton.jit
def _add(words, state, DTYPE: tl.constexpr, NEAR_ZERO: tl.constexpr, ASM: tl.constexpr):
    """Adds words ``[row, lane]`` to the accumulators; a word of zeros changes none of them."""
    nonzero, far, largest, total, total_abs, total_sq = state
    sizes = magnitudes(words, DTYPE)
    largest = maximum(largest, sizes, DTYPE, ASM)
    nonzero += tl.sum(reaching(sizes, 1, DTYPE, ASM), 1)
    if NEAR_ZERO > 1:
        far += tl.sum(reaching(sizes, NEAR_ZERO, DTYPE, ASM), 1)
    low, high = values(words, DTYPE)
    total += low
    total_abs += tl.abs(low)
    total_sq += low * low
    if DTYPE != tl.float32:
        total += high
        total_abs += tl.abs(high)
        total_sq += high * high
    return nonzero, far, largest, total, total_abs, total_sq


@triton.jit
def _products(words, factor, DTYPE: tl.constexpr):
    """Bits of each element's product with ``factor``, in float32."""
    low, high = values(words, DTYPE)
    return (low * factor).to(tl.uint32, bitcast=True), (high * factor).to(tl.uint32, bitcast=True)


@triton.jit
def _rounded(products, DTYPE: tl.constexpr):
    """Bits of float32 → of DTYPE, in the low half of a word if that has 16."""
    if DTYPE == tl.float32:
        return products
    else:
        return products.to(tl.float32, bitcast=True).to(DTYPE).to(tl.uint16, bitcast=True).to(tl.uint32)


@triton.jit
def _add_range(words, lowest, highest, DTYPE: tl.constexpr):
    low, high = values(words, DTYPE)
    return tl.minimum(lowest, tl.minimum(low, high)), tl.maximum(highest, tl.maximum(low, high))


@triton.jit
def _take(
    pointers,
    state,
    lowest,
    highest,
    factor,
    DTYPE: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SCALED: tl.constexpr,
    IN_PLACE: tl.constexpr,
    SIGNED: tl.constexpr,
    ASM: tl.constexpr,
):
    """Adds the words at ``pointers``, none of which is padding."""
    words = tl.load(pointers)
    if SCALED:
        low, high = _products(words, factor, DTYPE)
        if IN_PLACE:
            words = _rounded(low, DTYPE)
            if DTYPE != tl.float32:
                words = words | (_rounded(high, DTYPE) << 16)
            tl.store(pointers, words)
        else:
            state = _add(low, state, tl.float32, NEAR_ZERO, ASM)
            if SIGNED:
                lowest, highest = _add_range(low, lowest, highest, tl.float32)
            if DTYPE != tl.float32:
                state = _add(high, state, tl.float32, NEAR_ZERO, ASM)
                if SIGNED:
                    lowest, highest = _add_range(high, lowest, highest, tl.float32)
    if IN_PLACE or not SCALED:
        state = _add(words, state, DTYPE, NEAR_ZERO, ASM)
        if SIGNED:
            lowest, highest = _add_range(words, lowest, highest, DTYPE)
    return state, lowest, highest


@triton.jit
def single(
    words,
    address,
    size,
    factor,
    DTYPE: tl.constexpr,
    BYTES: tl.constexpr,
    ROWS: tl.constexpr,
    UNROLL: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SATURATED: tl.constexpr,
    INFINITY: tl.constexpr,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    SCALED: tl.constexpr,
    IN_PLACE: tl.constexpr,
    SIGNED: tl.constexpr,
    ASM: tl.constexpr,
):
    """A chunk of float16, bfloat16 or float32, in float32."""
    if SCALED:
        factor = factor.to(tl.float32)
    COMPARED: tl.constexpr = tl.float32 if SCALED and not IN_PLACE else DTYPE
    INTEGER: tl.constexpr = tl.int32 if COMPARED == tl.float32 else tl.int16
    PER_WORD: tl.constexpr = 4 // BYTES
    LANES: tl.constexpr = 4
    TILE: tl.constexpr = ROWS * LANES
    offsets = tl.arange(0, ROWS)[:, None] * LANES + tl.arange(0, LANES)[None, :]
    none = tl.zeros([ROWS], tl.uint32)
    nothing = tl.zeros([ROWS, LANES], tl.float32)
    state = (none, none, tl.zeros([ROWS, LANES], tl.uint32), nothing, nothing, nothing)
    lowest, highest = nothing + float("inf"), nothing - float("inf")

    # Loads are 16 bytes wide only where the compiler knows the alignment and no mask applies. So whole tiles from the
    # first 16-byte boundary on are read first, then the elements that are left before and behind them.
    lead = tl.minimum(((16 - (address & 15)) & 15).to(tl.int32) // BYTES, size)
    inner = tl.multiple_of((address + lead * BYTES).to(tl.pointer_type(tl.uint32)), 16)
    tiles = (size - lead) // (TILE * PER_WORD)
    unrolled = tiles // UNROLL * UNROLL * TILE
    for i in range(0, unrolled, UNROLL * TILE):
        for u in tl.static_range(UNROLL):
            state, lowest, highest = _take(
                inner + i + u * TILE + offsets,
                state,
                lowest,
                highest,
                factor,
                DTYPE,
                NEAR_ZERO,
                SCALED,
                IN_PLACE,
                SIGNED,
                ASM,
            )
    for i in range(unrolled, tiles * TILE, TILE):
        state, lowest, highest = _take(
            inner + i + offsets, state, lowest, highest, factor, DTYPE, NEAR_ZERO, SCALED, IN_PLACE, SIGNED, ASM
        )
    whole = tiles * TILE * PER_WORD
    elements = address.to(tl.pointer_type(tl.uint32 if BYTES == 4 else tl.uint16))
    for i in range(0, size - whole, TILE):
        left = i + offsets
        valid = left < size - whole
        place = elements + left + tl.where(left < lead, 0, whole)
        bits = tl.load(place, mask=valid, other=0).to(tl.uint32)
        if SCALED:
            product, _ = _products(bits, factor, DTYPE)
            # The padding too was multiplied, and 0 times an infinite factor is NaN.
            bits = tl.where(valid, product, 0)
            if IN_PLACE:
                bits = _rounded(bits, DTYPE)
                tl.store(place, bits.to(elements.dtype.element_ty), mask=valid)
        state = _add(bits, state, COMPARED, NEAR_ZERO, ASM)
        if SIGNED:
            x, _ = values(bits, COMPARED)
            lowest = tl.minimum(lowest, tl.where(valid, x, float("inf")))
            highest = tl.maximum(highest, tl.where(valid, x, -float("inf")))

    nonzero, far, largest, total, total_abs, total_sq = state
    if COMPARED != tl.float32:
        nonzero = (nonzero >> 16) + (nonzero & 0xFFFF)
        far = (far >> 16) + (far & 0xFFFF)
        largest = tl.maximum(largest >> 16, largest & 0xFFFF)
    zero = size - tl.sum(nonzero, 0).to(tl.int32)
    near_zero = zero
    if NEAR_ZERO > 1:
        near_zero = size - tl.sum(far, 0).to(tl.int32)
    most = tl.max(tl.max(largest, 1), 0).to(tl.int32)
    # The bits of the largest magnitude tell whether there is a NaN, an infinity, or one whose square leaves float32.
    if ((most >= LOW) & (most < HIGH) & (most < SATURATED)) | (most == 0):
        no = zero * 0
        write_counts(words, size, zero, near_zero, no, no, no, no)
        _, abs_max = split(most.to(INTEGER), COMPARED)
        write_sums(words, tl.sum(total), tl.sum(total_abs), tl.sum(total_sq), no, no, abs_max)
        if SIGNED:
            write_range(words, tl.min(lowest), tl.max(highest))
    else:
        if IN_PLACE:
            tl.debug_barrier()  # what other threads wrote is read again
        careful(
            words,
            address,
            size,
            factor,
            zero,
            near_zero,
            DTYPE,
            COMPARED,
            BYTES,
            ROWS,
            SATURATED,
            INFINITY,
            SCALED and not IN_PLACE,
            SIGNED,
        )
