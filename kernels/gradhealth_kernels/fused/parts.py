"""What the kernels of stage 1 share: bits → numbers, and a row of words."""

import triton
import triton.language as tl


@triton.jit
def split(bits, DTYPE: tl.constexpr):
    """Bits as integers → (bits of |x|, x in the dtype of the arithmetic)."""
    if DTYPE == tl.float64:
        return bits & 0x7FFFFFFFFFFFFFFF, bits.to(tl.float64, bitcast=True)
    elif DTYPE == tl.float32:
        return bits & 0x7FFFFFFF, bits.to(tl.float32, bitcast=True)
    elif DTYPE == tl.bfloat16:
        return bits & 0x7FFF, (bits.to(tl.int32) << 16).to(tl.float32, bitcast=True)
    else:
        return bits & 0x7FFF, bits.to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def integers(address, BYTES: tl.constexpr):
    if BYTES == 8:
        return address.to(tl.pointer_type(tl.int64))
    elif BYTES == 4:
        return address.to(tl.pointer_type(tl.int32))
    else:
        return address.to(tl.pointer_type(tl.int16))


@triton.jit
def scaled(bits, valid, factor, DTYPE: tl.constexpr, IN_PLACE: tl.constexpr):
    """Bits of x → those of x * factor; 0 where not ``valid``.

    They are float32 below float64, as GradScaler's, or with IN_PLACE rounded to DTYPE.
    """
    _, x = split(bits, DTYPE)
    if DTYPE == tl.float64:
        product = (x * factor.to(tl.float64)).to(tl.int64, bitcast=True)
    else:
        product = (x * factor.to(tl.float32)).to(tl.int32, bitcast=True)
        if IN_PLACE and DTYPE != tl.float32:
            product = product.to(tl.float32, bitcast=True).to(DTYPE).to(tl.int16, bitcast=True)
    # The padding too was multiplied, and 0 times an infinite factor is NaN.
    return tl.where(valid, product, 0)


@triton.jit
def write_counts(words, count, zero, near_zero, saturated, nan, pos_inf, neg_inf):
    tl.store(words + 0, count.to(tl.int64))
    tl.store(words + 1, zero.to(tl.int64))
    tl.store(words + 2, near_zero.to(tl.int64))
    tl.store(words + 3, saturated.to(tl.int64))
    tl.store(words + 4, nan.to(tl.int64))
    tl.store(words + 5, pos_inf.to(tl.int64))
    tl.store(words + 6, neg_inf.to(tl.int64))


@triton.jit
def write_sums(words, total, total_abs, total_sq, total_sq_big, total_sq_small, abs_max):
    tl.store(words + 7, total.to(tl.float64).to(tl.int64, bitcast=True))
    tl.store(words + 8, total_abs.to(tl.float64).to(tl.int64, bitcast=True))
    tl.store(words + 9, total_sq.to(tl.float64).to(tl.int64, bitcast=True))
    tl.store(words + 10, total_sq_big.to(tl.float64).to(tl.int64, bitcast=True))
    tl.store(words + 11, total_sq_small.to(tl.float64).to(tl.int64, bitcast=True))
    tl.store(words + 12, abs_max.to(tl.float64).to(tl.int64, bitcast=True))


@triton.jit
def write_range(words, lowest, highest):
    tl.store(words + 13, lowest.to(tl.float64).to(tl.int64, bitcast=True))
    tl.store(words + 14, highest.to(tl.float64).to(tl.int64, bitcast=True))
