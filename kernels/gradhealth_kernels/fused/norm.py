"""From the rows of all tensors to their total norm, which clipping needs on the device."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["tensors"], do_not_specialize_on_alignment=["rows"])
def total_norm(
    rows,
    norm,
    tensors,
    WORDS: tl.constexpr,
    BLOCK: tl.constexpr,
    NAN: tl.constexpr,
    POS_INF: tl.constexpr,
    NEG_INF: tl.constexpr,
    SUM_SQ: tl.constexpr,
    SUM_SQ_BIG: tl.constexpr,
    SUM_SQ_SMALL: tl.constexpr,
    BIG_SCALE: tl.constexpr,
    SMALL_SCALE: tl.constexpr,
):
    """One program: ``rows[tensor, entry]`` → the L2 norm over all elements, one float64.

    It is not finite if an element is not. NAN … SUM_SQ_SMALL are the entries' places in a row.
    """
    nan = tl.zeros([BLOCK], tl.int64)
    infinite = tl.zeros([BLOCK], tl.int64)
    middle = tl.zeros([BLOCK], tl.float64)
    big = tl.zeros([BLOCK], tl.float64)
    small = tl.zeros([BLOCK], tl.float64)
    for i in range(0, tensors, BLOCK):
        tensor = i + tl.arange(0, BLOCK)
        row = rows + tensor.to(tl.int64) * WORDS
        here = tensor < tensors
        nan += tl.load(row + NAN, mask=here, other=0)
        infinite += tl.load(row + POS_INF, mask=here, other=0) + tl.load(row + NEG_INF, mask=here, other=0)
        middle += tl.load(row + SUM_SQ, mask=here, other=0).to(tl.float64, bitcast=True)
        big += tl.load(row + SUM_SQ_BIG, mask=here, other=0).to(tl.float64, bitcast=True)
        small += tl.load(row + SUM_SQ_SMALL, mask=here, other=0).to(tl.float64, bitcast=True)
    # Blue's three accumulators, joined relative to the largest of them, so that no square leaves float64.
    of_middle = tl.sqrt(tl.sum(middle, 0))
    of_big = tl.sqrt(tl.sum(big, 0)) * (1.0 / BIG_SCALE)
    of_small = tl.sqrt(tl.sum(small, 0)) * (1.0 / SMALL_SCALE)
    most = tl.maximum(tl.maximum(of_middle, of_big), of_small)
    unit = tl.where(most > 0.0, most, 1.0)
    of_middle, of_big, of_small = of_middle / unit, of_big / unit, of_small / unit
    joined = most * tl.sqrt(of_middle * of_middle + of_big * of_big + of_small * of_small)
    joined = tl.where(tl.sum(infinite, 0) > 0, float("inf"), joined)
    tl.store(norm, tl.where(tl.sum(nan, 0) > 0, float("nan"), joined))
