"""Two kernels to compare with: a pure read, which is the practical roof, and a squared norm as it is often written."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["tensors", "first"])
def fold_chunks(
    table,
    chunk_tensor,
    chunk_index,
    chunk_words,
    tensors,
    first,
    BYTES: tl.constexpr,
    CHUNK: tl.constexpr,
    ROWS: tl.constexpr,
):
    """One program per chunk: the sum, modulo 2^32, of the 32-bit words that it lies in → ``chunk_words[chunk]``.

    ``table`` is int64 ``[2, tensor]``: address, elements of BYTES each, 2 or 4. One addition per word is the least that
    keeps a compiler from dropping a load, and the sum can be checked against ``torch.sum``.
    """
    VECTOR: tl.constexpr = 4
    TILE: tl.constexpr = ROWS * VECTOR
    chunk = first + tl.program_id(0)
    tensor = tl.load(chunk_tensor + chunk)
    begin = tl.load(chunk_index + chunk).to(tl.int64) * CHUNK
    address = tl.load(table + tensor) + begin * BYTES
    elements = tl.load(table + tensors + tensor)
    size = tl.minimum(elements - begin, CHUNK).to(tl.int32)

    # Whole tiles from the first 16-byte boundary on need no mask, so each load is 16 bytes wide.
    lead = tl.minimum(((16 - (address & 15)) & 15).to(tl.int32) // BYTES, size)
    words = tl.multiple_of((address + lead * BYTES).to(tl.pointer_type(tl.int32)), 16)
    whole = (size - lead) * BYTES // 4 // TILE * TILE
    offsets = tl.arange(0, ROWS)[:, None] * VECTOR + tl.arange(0, VECTOR)[None, :]
    total = tl.zeros([ROWS, VECTOR], tl.int32)
    for i in range(0, whole, TILE):
        total += tl.load(words + i + offsets)

    covered = whole * 4 // BYTES
    rest = tl.zeros([TILE], tl.int32)
    start = address.to(tl.pointer_type(tl.int32 if BYTES == 4 else tl.int16))
    for i in range(0, size - covered, TILE):
        left = i + tl.arange(0, TILE)
        place = left + tl.where(left < lead, 0, covered)
        bits = tl.load(start + place, mask=left < size - covered, other=0).to(tl.int32)
        if BYTES == 2:
            upper = ((address >> 1).to(tl.int32) + place) & 1
            bits = (bits & 0xFFFF) << (16 * upper)
        rest += bits
    folded = tl.sum(tl.sum(total.to(tl.int64), 1), 0) + tl.sum(rest.to(tl.int64), 0)
    tl.store(chunk_words + chunk, folded)


@triton.jit
def add_sum_sq(x, out, size, BLOCK: tl.constexpr):
    """Adds the sum of squares of elements ``[program * BLOCK, (program + 1) * BLOCK)`` to ``out``."""
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + offsets, mask=offsets < size, other=0.0).to(tl.float32)
    tl.atomic_add(out, tl.sum(values * values, 0))
