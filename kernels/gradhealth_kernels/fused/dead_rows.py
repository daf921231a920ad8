"""The two kernels of dead rows: stage 1 marks the rows that are alive, stage 2 counts a tensor's others.

A row is alive as soon as one of its elements is, so it is read only until one is found: of most rows the first 512
bytes. Marks are only ever set, so parts of one row need no merge, and their order does not show.
"""

import triton
import triton.language as tl

from .words import magnitudes, reaching, values


@triton.jit
def _far(bits, factor, DTYPE: tl.constexpr, NEAR_ZERO: tl.constexpr, SCALED: tl.constexpr):
    """1 or more in the place of each unit with an element that is NaN or has at least the threshold's magnitude."""
    if DTYPE == tl.float64:
        if SCALED:
            bits = (bits.to(tl.float64, bitcast=True) * factor.to(tl.float64)).to(tl.int64, bitcast=True)
        return ((bits & 0x7FFFFFFFFFFFFFFF) >= NEAR_ZERO).to(tl.int32)
    elif SCALED:
        low, high = values(bits, DTYPE)
        low = magnitudes((low * factor).to(tl.uint32, bitcast=True), tl.float32)
        high = magnitudes((high * factor).to(tl.uint32, bitcast=True), tl.float32)
        return reaching(tl.maximum(low, high), NEAR_ZERO, tl.float32, False).to(tl.int32)
    else:
        return reaching(magnitudes(bits, DTYPE), NEAR_ZERO, DTYPE, False).to(tl.int32)


@triton.jit(do_not_specialize=["tensors", "first", "part"])
def mark_alive(
    table,
    tile_tensor,
    tile_index,
    alive,
    inverse_scale,
    tensors,
    first,
    part,
    DTYPE: tl.constexpr,
    VECTOR: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SCALED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Stage 1, one program per tile of one dtype: sets ``alive[row]``, uint8, of those that are, in tile ``first +
    program``.

    ``table`` is int64 ``[7, tensor]``: address, rows here, units in a row, units from one row to the next, the place of
    its first row in ``alive``, rows that it has in all, and parts of a row. A tile is ROWS rows, or a part of each,
    ``part`` units, where they are longer. With VECTOR above 1 a unit is 4 bytes (8 of float64), and rows begin and end
    at multiples of 16 bytes; with 1 it is an element. SCALED: x times the float32 at ``inverse_scale``, which is None
    otherwise, is compared.
    """
    SINGLE: tl.constexpr = tl.uint32 if DTYPE == tl.float32 or VECTOR > 1 else tl.uint16
    UNIT: tl.constexpr = tl.int64 if DTYPE == tl.float64 else SINGLE
    place = first + tl.program_id(0)
    tensor = tl.load(tile_tensor + place)
    index = tl.load(tile_index + place)
    address = tl.load(table + tensor)
    rows = tl.load(table + tensors + tensor)
    width = tl.load(table + 2 * tensors + tensor)
    # The compiler makes loads of 16 bytes only where it is told that addresses, masks and steps allow it.
    stride = tl.multiple_of(tl.load(table + 3 * tensors + tensor), VECTOR)
    pointer = address.to(tl.pointer_type(UNIT))
    if VECTOR > 1:
        pointer = tl.multiple_of(pointer, 16)
    parts = tl.load(table + 6 * tensors + tensor).to(tl.int32)
    row = (index // parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    begin = tl.multiple_of((index % parts).to(tl.int64) * part, VECTOR)
    stop = tl.multiple_of(tl.minimum(width - begin, part).to(tl.int32), VECTOR)
    column = tl.arange(0, COLUMNS)
    units = pointer + begin + row[:, None] * stride + column[None, :]
    factor = 1.0
    if SCALED:
        factor = tl.load(inverse_scale)
    unknown = row < rows
    left = tl.max(unknown.to(tl.int32), 0)
    i = 0
    while (i < stop) & (left > 0):
        at = tl.multiple_of(i, VECTOR)
        here = unknown[:, None] & (at + column < stop)[None, :]
        bits = tl.load(units + at, mask=here, other=0)
        if DTYPE == tl.float16 or DTYPE == tl.bfloat16:
            bits = bits.to(tl.uint32)  # an element alone is a word whose other one is 0
        unknown = unknown & (tl.max(_far(bits, factor, DTYPE, NEAR_ZERO, SCALED), 1) == 0)
        left = tl.max(unknown.to(tl.int32), 0)
        i += COLUMNS
    marks = alive + tl.load(table + 4 * tensors + tensor) + row
    tl.store(marks, tl.full([ROWS], 1, tl.uint8), mask=(row < rows) & (unknown == 0))


@triton.jit(do_not_specialize=["tensors"], do_not_specialize_on_alignment=["out"])
def count_dead(table, alive, out, tensors, BLOCK: tl.constexpr):
    """Stage 2, one program per tensor: float64 ``out[tensor, 2]``, its rows and those among them that are not alive."""
    tensor = tl.program_id(0)
    rows = tl.load(table + tensors + tensor)
    marks = alive + tl.load(table + 4 * tensors + tensor)
    living = tl.zeros([BLOCK], tl.int64)
    for i in range(0, rows, BLOCK):
        row = i + tl.arange(0, BLOCK)
        living += tl.load(marks + row, mask=row < rows, other=0).to(tl.int64)
    total = tl.load(table + 5 * tensors + tensor)
    place = out + tensor.to(tl.int64) * 2
    tl.store(place, total.to(tl.float64))
    tl.store(place + 1, (total - tl.sum(living, 0)).to(tl.float64))
