"""Which rows a tensor has, and in what units a kernel reads them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .elements import PLAIN, REAL, Unmeasurable, in_memory_order, readable, strided


@dataclass(frozen=True)
class Rows:
    """The rows of a tensor: ``values`` ``[row, element]``, a row without gaps, of ``total`` rows.

    ``places`` says which rows these are where others are all zero, as those that a sparse tensor leaves out.
    """

    values: torch.Tensor
    total: int
    places: torch.Tensor | None = None


def rows_of(tensor: torch.Tensor) -> Rows:
    """The rows of a matrix, or of more dimensions with the first one as the row.

    They share memory with ``tensor`` where the elements of a row lie without gaps, in any order; a copy is made of
    others, as of a transposed matrix. A complex element counts as two. Raises :class:`Unmeasurable` for fewer
    dimensions, for no elements, and for what has none to read.
    """
    if tensor.dim() < 2 or not tensor.numel():
        raise Unmeasurable(f"expected a matrix with elements, got shape {tuple(tensor.shape)}; leave it out")
    total = tensor.shape[0]
    if type(tensor) in PLAIN and tensor.layout is torch.strided and tensor.dtype in REAL and not tensor.is_neg():
        return Rows(_matrix(readable(tensor.detach())), total)
    places = None
    if tensor.layout is torch.sparse_coo:
        if tensor.sparse_dim() != 1:
            raise Unmeasurable(
                f"expected a sparse tensor of dense rows, got one of {tensor.sparse_dim()} sparse dimensions; "
                "pass to_dense()"
            )
        tensor = tensor.detach().coalesce()
        places = tensor.indices()[0]
    own, _ = strided(tensor)
    return Rows(_matrix(readable(own)), total, places)


def _matrix(tensor: torch.Tensor) -> torch.Tensor:
    """``[row, element]``: a view, or a copy where a row has gaps."""
    rows = tensor.shape[0]
    if not rows:
        return tensor.reshape(0, 1)
    if not tensor.is_contiguous() and not in_memory_order(tensor[0]).is_contiguous():
        tensor = tensor.contiguous()
    return tensor.as_strided((rows, tensor.numel() // rows), (tensor.stride(0), 1))


def units(values: torch.Tensor) -> tuple[int, int, int]:
    """How rows are read: units in 16 bytes, 1 where a unit is an element; units in a row, and to the next one."""
    rows, elements = values.shape
    size, stride = values.itemsize, values.stride(0) if rows > 1 else elements
    if (values.data_ptr() | elements * size | stride * size) % 16:
        return 1, elements, stride
    unit = 8 if size == 8 else 4
    return 16 // unit, elements * size // unit, stride * size // unit
