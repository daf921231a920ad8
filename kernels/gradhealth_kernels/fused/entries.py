"""The two kernels. Stage 1 reads a chunk once and writes its entries, stage 2 merges a tensor's chunks into one row.

Both write rows of eight-byte words, one per entry in the order of the table: int64 counts, float64 bit patterns. No
atomics, so results are bit-reproducible. Thresholds are bit patterns in the dtype of the comparison, exact for every
value.
"""

import triton
import triton.language as tl

from .double import double
from .single import single


@triton.jit(do_not_specialize=["tensors", "first", "chunk_elements"])
def chunk_entries(
    table,
    chunk_tensor,
    chunk_index,
    chunk_words,
    factor_at,
    tensors,
    first,
    chunk_elements,
    DTYPE: tl.constexpr,
    BYTES: tl.constexpr,
    ROWS: tl.constexpr,
    UNROLL: tl.constexpr,
    WORDS: tl.constexpr,
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
    ASM: tl.constexpr,
):
    """Stage 1, one program per chunk of one dtype: chunk ``first + program`` → ``chunk_words[chunk, entry]``.

    ``table`` is int64 ``[3, tensor]``: address, elements, implicit zeros. An absent tensor has 0 elements, whatever
    chunks it has. LOW and HIGH are bits of the magnitudes between which squares sum as they are: float32 needs the
    chunk's largest in [LOW, HIGH), float64 sorts each element, with [LOW, HIGH] in the middle.

    SCALED: entries are those of x times the factor at ``factor_at``, which is None otherwise; they are float32 below
    float64, and every threshold is one of the dtype of the arithmetic. With IN_PLACE the products are rounded to DTYPE
    and replace x, unless the factor is 1: then nothing is read, and ``chunk_words`` are left as they are.
    SIGNED: the row has the signed extremes, too.
    """
    factor = tl.load(factor_at) if SCALED else 0.0
    if IN_PLACE:  # noqa: SIM102, the compiler decides this one, the device the other
        if factor == 1.0:
            return
    chunk = first + tl.program_id(0)
    tensor = tl.load(chunk_tensor + chunk)
    begin = tl.load(chunk_index + chunk).to(tl.int64) * chunk_elements
    address = tl.load(table + tensor) + begin * BYTES
    elements = tl.load(table + tensors + tensor)
    size = tl.maximum(tl.minimum(elements - begin, chunk_elements), 0).to(tl.int32)
    words = chunk_words + chunk.to(tl.int64) * WORDS
    if DTYPE == tl.float64:
        double(
            words,
            address,
            size,
            factor,
            ROWS,
            NEAR_ZERO,
            SATURATED,
            INFINITY,
            LOW,
            HIGH,
            BIG_SCALE,
            SMALL_SCALE,
            SCALED,
            IN_PLACE,
            SIGNED,
        )
    else:
        single(
            words,
            address,
            size,
            factor,
            DTYPE,
            BYTES,
            ROWS,
            UNROLL,
            NEAR_ZERO,
            SATURATED,
            INFINITY,
            LOW,
            HIGH,
            SCALED,
            IN_PLACE,
            SIGNED,
            ASM,
        )


# Rows of a ring lie on multiples of 16 bytes or of 8 alone: one kernel for both.
@triton.jit(do_not_specialize=["tensors"], do_not_specialize_on_alignment=["out"])
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
    MINIMA: tl.constexpr,
    SIGNED: tl.constexpr,
    ZEROS: tl.constexpr,
):
    """Stage 2, one program per tensor: chunks ``[start, stop)`` and implicit zeros → ``out[tensor, entry]``.

    Bit ``e`` of FLOATS, MAXIMA, MINIMA, SIGNED and ZEROS says whether entry ``e`` is a float64, combines by max, by
    min, has an infinity as its neutral element, counts a zero element. COLUMNS is a power of two of at least WORDS.
    """
    tensor = tl.program_id(0)
    start = tl.load(starts + tensor)
    stop = tl.load(stops + tensor)
    implicit = tl.load(table + 2 * tensors + tensor)
    column = tl.arange(0, COLUMNS)
    signed = ((SIGNED >> column) & 1) == 1
    counts = tl.zeros([COLUMNS], tl.int64)
    sums = tl.zeros([COLUMNS], tl.float64)
    # An implicit zero bounds a signed extreme as any element does.
    maxima = tl.where(signed & (implicit == 0), -float("inf"), 0.0).to(tl.float64)
    minima = tl.where(signed & (implicit == 0), float("inf"), 0.0).to(tl.float64)
    for i in range(start, stop, BLOCK):
        row = i + tl.arange(0, BLOCK)
        here = (row < stop)[:, None] & (column < WORDS)[None, :]
        place = row.to(tl.int64)[:, None] * WORDS + column[None, :]
        words = tl.load(chunk_words + place, mask=here, other=0)
        numbers = words.to(tl.float64, bitcast=True)
        counts += tl.sum(words, 0)
        sums += tl.sum(numbers, 0)
        maxima = tl.maximum(maxima, tl.max(tl.where(here, numbers, -float("inf")), 0))
        minima = tl.minimum(minima, tl.min(tl.where(here, numbers, float("inf")), 0))
    counts += tl.where(((ZEROS >> column) & 1) == 1, implicit, 0)
    numbers = tl.where(((MAXIMA >> column) & 1) == 1, maxima, sums)
    numbers = tl.where(((MINIMA >> column) & 1) == 1, minima, numbers).to(tl.int64, bitcast=True)
    words = tl.where(((FLOATS >> column) & 1) == 1, numbers, counts)
    tl.store(out + tensor.to(tl.int64) * WORDS + column, words, mask=column < WORDS)
