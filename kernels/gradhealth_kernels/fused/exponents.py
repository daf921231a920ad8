"""The two kernels of the exponent histogram: stage 1 counts a chunk's elements per bin, stage 2 adds a tensor's chunks.

A bin is what float32 has in its eight exponent bits, so it is cut out of the bit pattern and no logarithm is taken.
Counts are integers and each program writes rows of its own, so the order of counting does not show.
"""

import triton
import triton.language as tl

from .parts import split


@triton.jit
def _bin_of(x, BINS: tl.constexpr):
    """float32 or float64 ``x`` ``[element]`` → (its bin; whether it has one, which 0, NaN and infinity have not)."""
    if x.dtype == tl.float64:
        magnitude = x.to(tl.int64, bitcast=True) & 0x7FFFFFFFFFFFFFFF
        counted = (magnitude > 0) & (magnitude < 0x7FF0000000000000)
        # 1023 - 127: from the exponent bias of float64 to that of float32, whose range is the smaller one.
        return tl.minimum(tl.maximum((magnitude >> 52).to(tl.int32) - 896, 0), BINS - 1), counted
    else:
        magnitude = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
        return magnitude >> 23, (magnitude > 0) & (magnitude < 0x7F800000)


@triton.jit(do_not_specialize=["tensors", "first", "chunk"])
def chunk_exponents(
    table,
    chunk_tensor,
    chunk_index,
    chunk_counts,
    inverse_scale,
    tensors,
    first,
    chunk,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    BINS: tl.constexpr,
    TILE: tl.constexpr,
):
    """Stage 1, one program per chunk of one dtype: chunk ``first + program`` → int32 ``chunk_counts[chunk, bin]``.

    ``table`` is int64 ``[2, tensor]``: address, elements. A chunk is ``chunk`` elements, fewer at the tensor's end.
    SCALED: the histogram is that of x times the float32 at ``inverse_scale``, which is None otherwise.
    """
    INTEGER: tl.constexpr = tl.int64 if DTYPE == tl.float64 else tl.int32 if DTYPE == tl.float32 else tl.int16
    place = first + tl.program_id(0)
    tensor = tl.load(chunk_tensor + place)
    begin = tl.load(chunk_index + place).to(tl.int64) * chunk
    pointer = tl.load(table + tensor).to(tl.pointer_type(INTEGER)) + begin
    size = tl.minimum(tl.load(table + tensors + tensor) - begin, chunk).to(tl.int32)
    element, column = tl.arange(0, TILE), tl.arange(0, BINS)
    counts = tl.zeros([BINS], tl.int32)
    strangers = tl.zeros([TILE], tl.int32)
    if SCALED:
        inverse = tl.load(inverse_scale)
    for i in range(0, size, TILE):
        # The padding is 0, or NaN under an infinite scale: in no bin either way.
        _, x = split(tl.load(pointer + i + element, mask=element < size - i, other=0), DTYPE)
        if SCALED:
            x *= inverse.to(x.dtype)
        found, counted = _bin_of(x, BINS)
        counts += tl.histogram(tl.where(counted, found, BINS - 1), BINS)
        strangers += 1 - counted.to(tl.int32)
    # What has no bin went to the last one, for want of a histogram that leaves elements out in older Tritons.
    counts -= tl.where(column == BINS - 1, tl.sum(strangers, 0), 0)
    tl.store(chunk_counts + place.to(tl.int64) * BINS + column, counts)


@triton.jit
def tensor_exponents(starts, stops, chunk_counts, out, BINS: tl.constexpr, BLOCK: tl.constexpr):
    """Stage 2, one program per tensor: chunks ``[start, stop)`` → int64 ``out[tensor, bin]``; of no chunks, 0."""
    tensor = tl.program_id(0)
    start, stop = tl.load(starts + tensor), tl.load(stops + tensor)
    column = tl.arange(0, BINS)
    counts = tl.zeros([BINS], tl.int64)
    for i in range(start, stop, BLOCK):
        row = i + tl.arange(0, BLOCK)
        place = row.to(tl.int64)[:, None] * BINS + column[None, :]
        counts += tl.sum(tl.load(chunk_counts + place, mask=(row < stop)[:, None], other=0).to(tl.int64), 0)
    tl.store(out + tensor.to(tl.int64) * BINS + column, counts)
