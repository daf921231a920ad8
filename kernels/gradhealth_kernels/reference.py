"""Every entry in plain torch and float64: what the other paths are tested against, and the path for any device."""

from __future__ import annotations

import numpy as np
import torch

from .elements import saturated_from
from .statistics import BIG_FROM, BIG_SCALE, NEAR_ZERO, SMALL_BELOW, SMALL_SCALE, neutral, table


def as_double(values: torch.Tensor, inverse_scale: torch.Tensor | None) -> torch.Tensor:
    """``values`` in float64; with an inverse scale their products with it, rounded as torch's unscaling rounds them.

    ``inverse_scale`` is float32, one element. torch multiplies in float32, but float64 values in float64.
    """
    if inverse_scale is None:
        return values.double()
    if values.dtype is torch.float64:
        return values * inverse_scale.double()
    return (values.float() * inverse_scale).double()


def entries_of(values: torch.Tensor, near_zero: float, saturated: float, signed: bool) -> dict[str, torch.Tensor]:
    """Entries of float64 ``values`` of any shape as tensors of no dimension, by name, without waiting for the device.

    ``near_zero`` and ``saturated`` are magnitudes; saturation depends on the dtype that the values came from.
    ``signed`` adds the signed extremes.
    """
    size = values.abs()
    finite = values.isfinite()
    kept = torch.where(finite, values, 0.0)
    kept_size = kept.abs()
    big, small = kept_size > BIG_FROM, kept_size < SMALL_BELOW

    def sum_sq(chosen: torch.Tensor, scale: float) -> torch.Tensor:
        return torch.where(chosen, kept * scale, 0.0).square().sum()

    found = {
        "count": torch.full((), values.numel(), dtype=torch.int64, device=values.device),
        "zero": (values == 0).sum(),
        "near_zero": (size < near_zero).sum(),
        "saturated": (size >= saturated).sum(),
        "nan": values.isnan().sum(),
        "pos_inf": (values == float("inf")).sum(),
        "neg_inf": (values == -float("inf")).sum(),
        "sum": kept.sum(),
        "sum_abs": kept_size.sum(),
        "sum_sq": sum_sq(~(big | small), 1.0),
        "sum_sq_big": sum_sq(big, BIG_SCALE),
        "sum_sq_small": sum_sq(small, SMALL_SCALE),
        "abs_max": kept_size.max() if values.numel() else kept.sum(),
    }
    if signed:
        bounds = values.new_full((1,), float("inf"))
        found["minimum"] = torch.cat([torch.where(finite, values, bounds).flatten(), bounds]).min()
        found["maximum"] = torch.cat([torch.where(finite, values, -bounds).flatten(), -bounds]).max()
    return found


def measure(
    tensor: torch.Tensor,
    near_zero: float = NEAR_ZERO,
    inverse_scale: torch.Tensor | None = None,
    signed: bool = False,
) -> np.void:
    """One record of entries for a tensor of any floating dtype, strided or sparse COO, on any device.

    A complex element counts as its two components, an element that a sparse tensor leaves out as 0.
    With ``inverse_scale``, the entries of the tensor times that; ``signed`` adds the signed extremes.
    """
    tensor = tensor.detach()
    if tensor.layout is torch.sparse_coo:
        # to_dense() adds the values to zeros, which makes NaN of a complex infinity.
        tensor, dense = tensor.coalesce(), tensor.new_zeros(tensor.shape, layout=torch.strided)
        dense[tuple(tensor.indices())] = tensor.values()
        tensor = dense
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    found = entries_of(as_double(tensor, inverse_scale), near_zero, saturated_from(tensor.dtype), signed)
    record: np.void = neutral((1,), signed)[0]
    for entry in table(signed):
        record[entry.name] = found[entry.name].item()
    return record
