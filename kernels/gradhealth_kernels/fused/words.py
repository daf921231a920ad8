"""Words: 32 bits as loaded, one float32 or a packed pair of 16-bit elements, and what is done to them at once.

The bits of |x|, read as an integer, are ordered as |x| is. So maxima and counts need no conversion, a pair of 16-bit
elements is handled in one go, and a word of zeros changes nothing, which makes padding free. ASM takes the packed
instructions of sm_90, which the compiler does not find by itself; the interpreter and other devices do without.
"""

import triton
import triton.language as tl


@triton.jit
def magnitudes(words, DTYPE: tl.constexpr):
    if DTYPE == tl.float32:
        return words & 0x7FFFFFFF
    else:
        return words & 0x7FFF7FFF


@triton.jit
def maximum(one, other, DTYPE: tl.constexpr, ASM: tl.constexpr):
    """The larger of each element's magnitude."""
    if DTYPE == tl.float32:
        return tl.maximum(one, other)
    elif ASM:
        return tl.inline_asm_elementwise(
            "max.u16x2 $0, $1, $2;", "=r,r,r", [one, other], dtype=tl.uint32, is_pure=True, pack=1
        )
    else:
        high = tl.maximum(one & 0xFFFF0000, other & 0xFFFF0000)
        return high | tl.maximum(one & 0xFFFF, other & 0xFFFF)


@triton.jit
def reaching(sizes, THRESHOLD: tl.constexpr, DTYPE: tl.constexpr, ASM: tl.constexpr):
    """1 in each element's place where its magnitude has at least the bits THRESHOLD, which are positive; else 0."""
    if DTYPE == tl.float32:
        if not ASM:
            return (sizes >= THRESHOLD).to(tl.uint32)
        elif THRESHOLD == 1:
            return tl.inline_asm_elementwise("min.u32 $0, $1, 1;", "=r,r", [sizes], tl.uint32, is_pure=True, pack=1)
        else:
            return tl.inline_asm_elementwise(
                "{.reg .b32 t; sub.s32 t, $1, $2; min.s32.relu $0, t, 1;}",
                "=r,r,r",
                [sizes, THRESHOLD - 1],
                dtype=tl.uint32,
                is_pure=True,
                pack=1,
            )
    elif ASM:
        return tl.inline_asm_elementwise(
            "{.reg .b32 t; add.s16x2 t, $1, $2; min.s16x2.relu $0, t, $3;}",
            "=r,r,r,r",
            [sizes, ((0x10001 - THRESHOLD) & 0xFFFF) * 0x10001, 0x10001],
            dtype=tl.uint32,
            is_pure=True,
            pack=1,
        )
    else:
        # A carry out of the low element would end in its own highest bit, which magnitudes leave free.
        return ((sizes + (0x8000 - THRESHOLD) * 0x10001) >> 15) & 0x10001


@triton.jit
def values(words, DTYPE: tl.constexpr):
    """float32 values of the low and the high element; of float32 itself the word, twice."""
    if DTYPE == tl.float32:
        x = words.to(tl.float32, bitcast=True)
        return x, x
    elif DTYPE == tl.bfloat16:
        return (words << 16).to(tl.float32, bitcast=True), (words & 0xFFFF0000).to(tl.float32, bitcast=True)
    else:
        low = (words & 0xFFFF).to(tl.uint16).to(tl.float16, bitcast=True).to(tl.float32)
        high = (words >> 16).to(tl.uint16).to(tl.float16, bitcast=True).to(tl.float32)
        return low, high
