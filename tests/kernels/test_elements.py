"""Which elements a tensor has, and thresholds as bits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from gradhealth_kernels.elements import BITS, WIDE, Unmeasurable, bits_from, infinity_bits, prepare

from .cases import DTYPES, normal


@pytest.mark.parametrize("dtype", DTYPES)
@given(threshold=st.floats(0, allow_infinity=False))
def test_the_bits_of_a_threshold_split_the_dtype_where_real_numbers_do(dtype: torch.dtype, threshold: float) -> None:
    bits = bits_from(threshold, dtype)
    around = [b for b in (bits - 1, bits, bits + 1) if 0 <= b <= infinity_bits(dtype)]
    values = torch.tensor(around, dtype=BITS[dtype.itemsize]).view(dtype).double()
    assert (values >= threshold).tolist() == [b >= bits for b in around]


def test_dense_tensors_are_read_in_place() -> None:
    matrix = normal(24, torch.float32).reshape(2, 3, 4)
    for tensor in (matrix, matrix[0].T, matrix.permute(1, 2, 0), matrix[1], matrix.to(torch.complex64), matrix[:0]):
        dense, implicit = prepare(tensor)
        assert dense.is_contiguous()
        assert implicit == 0
        assert tensor.is_complex() or dense.data_ptr() == tensor.data_ptr()


def test_views_with_gaps_or_overlaps_are_copied_and_the_original_stays() -> None:
    matrix = normal(24, torch.float32).reshape(4, 6)
    for tensor in (matrix[:, ::2], matrix[:1].expand(3, 6), matrix.as_strided((5, 5), (1, 1))):
        dense, _ = prepare(tensor)
        assert dense.is_contiguous()
        assert sorted(dense.flatten().tolist()) == sorted(tensor.flatten().tolist())
        assert dense.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


def test_an_address_between_elements_is_copied() -> None:
    odd = torch.frombuffer(bytearray(4 * 10 + 1), dtype=torch.float32, offset=1, count=10)
    dense, _ = prepare(odd)
    assert dense.data_ptr() % 4 == 0


def test_a_sparse_gradient_is_coalesced_as_a_copy() -> None:
    indices, values = torch.tensor([[1, 1, 4]]), torch.tensor([1.0, 2.0, 3.0])
    sparse = torch.sparse_coo_tensor(indices, values, (9,), check_invariants=True)
    dense, implicit = prepare(sparse)
    assert (dense.tolist(), implicit) == ([3.0, 3.0], 7)
    assert not sparse.is_coalesced()


class Labelled(torch.Tensor):
    """A subclass that only adds methods: its elements are its own."""


def test_a_subclass_with_its_own_elements_is_measured() -> None:
    dense, _ = prepare(torch.ones(3).as_subclass(Labelled))
    assert type(dense) is torch.Tensor


def freed() -> torch.Tensor:
    tensor = torch.ones(3)
    tensor.untyped_storage().resize_(0)
    return tensor


def fake() -> torch.Tensor:
    with FakeTensorMode():
        return torch.ones(3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: torch.ones(3, device="meta"), "got one on meta"),
        (freed, "storage was freed"),
        (fake, r"got torch\._subclasses\.fake_tensor\.FakeTensor, .* pass the tensor that it wraps"),
        (lambda: torch.ones(3, dtype=torch.int64), r"got torch\.int64; convert it"),
        (lambda: torch.ones(3, dtype=torch.bool), r"got torch\.bool; convert it"),
        (lambda: torch.eye(3).to_mkldnn(), r"got layout torch\._mkldnn; pass its values\(\) or to_dense\(\)"),
    ],
)
def test_what_cannot_be_measured_says_why_and_what_to_pass(make: object, text: str) -> None:
    tensor = make()  # type: ignore[operator]
    with pytest.raises(Unmeasurable, match=text):
        prepare(tensor)


def test_every_wide_dtype_has_cases() -> None:
    assert set(DTYPES) == WIDE
