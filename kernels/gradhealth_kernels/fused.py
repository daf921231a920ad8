"""The two kernels. Stage 1 reads a chunk once and writes its entries, stage 2 merges a tensor's chunks into one row.

Both write rows of eight-byte words, one per entry in the order of the table: int64 counts, float64 bit patterns. No
atomics, so results are bit-reproducible. Thresholds are bit patterns in the tensor's dtype, exact for every value.

In the bits of |x| read as an integer the largest value tells whether the chunk has a NaN, an infinity or a magnitude
whose square leaves float32. Only such a chunk is read a second time, carefully.
"""

import triton
import triton.language as tl

from .fused_parts import add, integers, split, unscaled, write_counts, write_sums


@triton.jit
def _single(
    words,
    address,
    size,
    inverse,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    BYTES: tl.constexpr,
    ROWS: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SATURATED: tl.constexpr,
    INFINITY: tl.constexpr,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
):
    """A chunk of float16, bfloat16 or float32, in float32."""
    AS: tl.constexpr = tl.float32 if SCALED else DTYPE
    INTEGER: tl.constexpr = tl.int32 if AS == tl.float32 else tl.int16
    VECTOR: tl.constexpr = 16 // BYTES
    TILE: tl.constexpr = ROWS * VECTOR
    offsets = tl.arange(0, ROWS)[:, None] * VECTOR + tl.arange(0, VECTOR)[None, :]
    none = tl.zeros([ROWS], tl.int32)
    nonzero, far, saturated, largest = none, none, none, none
    nothing = tl.zeros([ROWS], tl.float32)
    total, total_abs, total_sq = nothing, nothing, nothing

    # Loads are 16 bytes wide only where the compiler knows the alignment and no mask applies. So whole tiles from the
    # first 16-byte boundary on are read first, then what is left before and behind them.
    start = integers(address, BYTES)
    lead = tl.minimum(((16 - (address & 15)) & 15).to(tl.int32) // BYTES, size)
    inner = tl.multiple_of(start + lead, 16)
    whole = (size - lead) // TILE * TILE
    for i in range(0, whole, TILE):
        bits = tl.load(inner + i + offsets)
        if SCALED:
            bits = unscaled(bits, True, inverse, DTYPE)
        nonzero, far, saturated, largest, total, total_abs, total_sq = add(
            bits, nonzero, far, saturated, largest, total, total_abs, total_sq, AS, NEAR_ZERO, SATURATED
        )
    for i in range(0, size - whole, TILE):
        left = i + offsets
        bits = tl.load(start + left + tl.where(left < lead, 0, whole), mask=left < size - whole, other=0)
        if SCALED:
            bits = unscaled(bits, left < size - whole, inverse, DTYPE)
        nonzero, far, saturated, largest, total, total_abs, total_sq = add(
            bits, nonzero, far, saturated, largest, total, total_abs, total_sq, AS, NEAR_ZERO, SATURATED
        )

    zero, near_zero = size - tl.sum(nonzero, 0), size - tl.sum(far, 0)
    saturations, maximum = tl.sum(saturated, 0), tl.max(largest, 0)
    if ((maximum >= LOW) & (maximum < HIGH)) | (maximum == 0):
        no = zero * 0
        write_counts(words, size, zero, near_zero, saturations, no, no, no)
        _, abs_max = split(maximum.to(INTEGER), AS)
        write_sums(words, tl.sum(total, 0), tl.sum(total_abs, 0), tl.sum(total_sq, 0), no, no, abs_max)
    else:
        _careful(words, start, size, inverse, zero, near_zero, saturations, DTYPE, SCALED, AS, INTEGER, ROWS, INFINITY)


@triton.jit
def _careful(
    words,
    pointer,
    size,
    inverse,
    zero,
    near_zero,
    saturated,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    AS: tl.constexpr,
    INTEGER: tl.constexpr,
    TILE: tl.constexpr,
    INFINITY: tl.constexpr,
):
    """Reads a chunk again: once for NaN, infinities and the largest finite |x|, once for sums scaled by that."""
    offsets = tl.arange(0, TILE)
    none = tl.zeros([TILE], tl.int32)
    nan, pos_inf, neg_inf, largest = none, none, none, none
    for i in range(0, size, TILE):
        bits = tl.load(pointer + i + offsets, mask=offsets < size - i, other=0)
        if SCALED:
            bits = unscaled(bits, offsets < size - i, inverse, DTYPE)
        magnitude, x = split(bits, AS)
        nan += (magnitude > INFINITY).to(tl.int32)
        pos_inf += (bits == INFINITY).to(tl.int32)
        neg_inf += ((magnitude == INFINITY) & (bits < 0)).to(tl.int32)
        largest = tl.maximum(largest, tl.where(magnitude < INFINITY, magnitude, 0).to(tl.int32))
    _, abs_max = split(tl.max(largest, 0).to(INTEGER), AS)

    # A power of two, so exact, that brings the largest magnitude to about 1; clamped to the normal numbers.
    exponent = abs_max.to(tl.int32, bitcast=True) >> 23
    scale = (tl.maximum(254 - exponent, 1) << 23).to(tl.float32, bitcast=True)
    nothing = tl.zeros([TILE], tl.float32)
    total, total_abs, total_sq = nothing, nothing, nothing
    for i in range(0, size, TILE):
        bits = tl.load(pointer + i + offsets, mask=offsets < size - i, other=0)
        if SCALED:
            bits = unscaled(bits, offsets < size - i, inverse, DTYPE)
        magnitude, x = split(bits, AS)
        x = tl.where(magnitude < INFINITY, x, 0.0) * scale
        total += x
        total_abs += tl.abs(x)
        total_sq += x * x
    back = 1.0 / scale.to(tl.float64)
    nans = tl.sum(nan, 0)
    no = nans * 0
    write_counts(words, size, zero, near_zero, saturated - nans, nans, tl.sum(pos_inf, 0), tl.sum(neg_inf, 0))
    sum_sq = tl.sum(total_sq, 0) * back * back
    write_sums(words, tl.sum(total, 0) * back, tl.sum(total_abs, 0) * back, sum_sq, no, no, abs_max)


@triton.jit
def _double(
    words,
    address,
    size,
    inverse,
    SCALED: tl.constexpr,
    ROWS: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SATURATED: tl.constexpr,
    INFINITY: tl.constexpr,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    BIG_SCALE: tl.constexpr,
    SMALL_SCALE: tl.constexpr,
):
    """A chunk of float64 in float64, with Blue's three accumulators. Rare in training, so plain rather than fast."""
    pointer = address.to(tl.pointer_type(tl.int64))
    offsets = tl.arange(0, ROWS)
    none = tl.zeros([ROWS], tl.int32)
    zero, near_zero, saturated, nan, pos_inf, neg_inf = none, none, none, none, none, none
    nothing = tl.zeros([ROWS], tl.float64)
    total, total_abs, abs_max = nothing, nothing, nothing
    total_sq, total_sq_big, total_sq_small = nothing, nothing, nothing
    for i in range(0, size, ROWS):
        valid = offsets < size - i
        bits = tl.load(pointer + i + offsets, mask=valid, other=0)
        if SCALED:
            bits = unscaled(bits, valid, inverse, tl.float64)
        magnitude, x = split(bits, tl.float64)
        zero += (valid & (magnitude == 0)).to(tl.int32)
        near_zero += (valid & (magnitude < NEAR_ZERO)).to(tl.int32)
        saturated += ((magnitude >= SATURATED) & (magnitude <= INFINITY)).to(tl.int32)
        nan += (magnitude > INFINITY).to(tl.int32)
        pos_inf += (bits == INFINITY).to(tl.int32)
        neg_inf += ((magnitude == INFINITY) & (bits < 0)).to(tl.int32)
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


@triton.jit(do_not_specialize=["tensors", "first"])
def chunk_entries(
    table,
    chunk_tensor,
    chunk_index,
    chunk_words,
    inverse_scale,
    tensors,
    first,
    DTYPE: tl.constexpr,
    BYTES: tl.constexpr,
    CHUNK: tl.constexpr,
    ROWS: tl.constexpr,
    WORDS: tl.constexpr,
    NEAR_ZERO: tl.constexpr,
    SATURATED: tl.constexpr,
    INFINITY: tl.constexpr,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    BIG_SCALE: tl.constexpr,
    SMALL_SCALE: tl.constexpr,
    SCALED: tl.constexpr,
):
    """Stage 1, one program per chunk of one dtype: chunk ``first + program`` → ``chunk_words[chunk, entry]``.

    ``table`` is int64 ``[3, tensor]``: address, elements, implicit zeros. An absent tensor has 0 elements, whatever
    chunks it has. LOW and HIGH are bits of the magnitudes between which squares sum as they are: float32 needs the
    chunk's largest in [LOW, HIGH), float64 sorts each element, with [LOW, HIGH] in the middle.
    SCALED: entries are those of x times the float32 at ``inverse_scale``, which is None otherwise; every threshold is
    then one of the dtype of the arithmetic.
    """
    chunk = first + tl.program_id(0)
    tensor = tl.load(chunk_tensor + chunk)
    begin = tl.load(chunk_index + chunk).to(tl.int64) * CHUNK
    address = tl.load(table + tensor) + begin * BYTES
    elements = tl.load(table + tensors + tensor)
    size = tl.maximum(tl.minimum(elements - begin, CHUNK), 0).to(tl.int32)
    words = chunk_words + chunk.to(tl.int64) * WORDS
    inverse = tl.load(inverse_scale) if SCALED else 0.0
    if DTYPE == tl.float64:
        _double(
            words,
            address,
            size,
            inverse,
            SCALED,
            ROWS,
            NEAR_ZERO,
            SATURATED,
            INFINITY,
            LOW,
            HIGH,
            BIG_SCALE,
            SMALL_SCALE,
        )
    else:
        _single(words, address, size, inverse, DTYPE, SCALED, BYTES, ROWS, NEAR_ZERO, SATURATED, INFINITY, LOW, HIGH)


@triton.jit(do_not_specialize=["tensors"])
def tensor_entries(
    table,
    starts,
    stops,
    chunk_words,
    out,
    tensors,
    WORDS: tl.constexpr,
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
    FLOATS: tl.constexpr,
    MAXIMA: tl.constexpr,
    ZEROS: tl.constexpr,
):
    """Stage 2, one program per tensor: chunks ``[start, stop)`` and implicit zeros → ``out[tensor, entry]``.

    Bit ``e`` of FLOATS, MAXIMA and ZEROS says whether entry ``e`` is a float64, combines by max, counts a zero element.
    COLUMNS is a power of two of at least WORDS entries.
    """
    tensor = tl.program_id(0)
    start = tl.load(starts + tensor)
    stop = tl.load(stops + tensor)
    column = tl.arange(0, COLUMNS)
    counts = tl.zeros([COLUMNS], tl.int64)
    sums = tl.zeros([COLUMNS], tl.float64)
    maxima = tl.zeros([COLUMNS], tl.float64)
    for i in range(start, stop, BLOCK):
        row = i + tl.arange(0, BLOCK)
        place = row.to(tl.int64)[:, None] * WORDS + column[None, :]
        words = tl.load(chunk_words + place, mask=(row < stop)[:, None] & (column < WORDS)[None, :], other=0)
        numbers = words.to(tl.float64, bitcast=True)
        counts += tl.sum(words, 0)
        sums += tl.sum(numbers, 0)
        maxima = tl.maximum(maxima, tl.max(numbers, 0))
    counts += tl.where(((ZEROS >> column) & 1) == 1, tl.load(table + 2 * tensors + tensor), 0)
    numbers = tl.where(((MAXIMA >> column) & 1) == 1, maxima, sums).to(tl.int64, bitcast=True)
    words = tl.where(((FLOATS >> column) & 1) == 1, numbers, counts)
    tl.store(out + tensor.to(tl.int64) * WORDS + column, words, mask=column < WORDS)
