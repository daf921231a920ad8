"""Limits, dead units and the spread across the batch, of tensors made for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from tb_gradhealth.streams import spread
from tb_gradhealth.streams.choosing import Kind
from tb_gradhealth.streams.figures import Layout
from tb_gradhealth.streams.limits import Limit, limit_of
from tb_gradhealth.streams.units import WINDOW, Units

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("module", "derivative"), [(nn.Tanh(), 2.0), (nn.Sigmoid(), 1.0)])
def test_limits_of_tanh_and_sigmoid_are_where_the_derivative_is_of_the_dtypes_eps(
    dtype: torch.dtype, module: nn.Module, derivative: float
) -> None:
    """Every value that the function can take near its limits, and the derivative of each in float64."""
    eps = torch.finfo(dtype).eps
    near = torch.tensor([1 - k * eps / 2 for k in range(40)], dtype=dtype)
    near = torch.cat([near, -near]) if isinstance(module, nn.Tanh) else torch.cat([near, eps * near, 3 * eps * near])
    exact = near.double()
    slope = 1 - exact**2 if isinstance(module, nn.Tanh) else exact * (1 - exact)
    limit = limit_of(module)
    assert limit is not None
    for value, small in zip(near, slope <= derivative * eps, strict=True):
        assert limit.count(value.reshape(1)) == float(small), float(value)
    assert limit.count(near) == float((slope <= derivative * eps).sum())


def test_gelu_and_silu_are_limited_beyond_3_of_the_input() -> None:
    x = torch.tensor([-3.01, -3.0, 0.0, 2.9, 3.0, 3.1, float("inf"), float("nan")])
    for module in (nn.GELU(), nn.SiLU(), nn.GELU(approximate="tanh")):
        limit = limit_of(module)
        assert limit == Limit("input", "gelu")
        assert limit.count(x) == 3.0
        assert limit.count(x[1:5]) == 0.0


@pytest.mark.parametrize("module", [nn.LeakyReLU(), nn.Hardswish(), nn.Softplus(), nn.Linear(1, 1)])
def test_others_have_no_limit(module: nn.Module) -> None:
    assert limit_of(module) is None


@pytest.mark.parametrize("shape", [(40, 7), (3, 5, 7), (33, 7, 2, 2)])
def test_units_are_dead_after_a_window_of_silent_looks(shape: tuple[int, ...]) -> None:
    """Against the definition; a unit speaks now and then, at any sample."""
    dimension = 1 if len(shape) == 4 else -1
    generator, units = np.random.default_rng(3), Units()
    silent: list[np.ndarray] = []
    for look in range(3 * WINDOW):
        output = np.zeros(shape, np.float32)
        along = np.moveaxis(output, dimension, -1).reshape(-1, 7)
        places = generator.integers(len(along), size=7)
        speaks = generator.random(7) < [0, 0.01, 0.05, 0.2, 1, 1, 0.1]
        rows = np.unravel_index(places, tuple(np.delete(shape, dimension)))
        for unit in np.flatnonzero(speaks):
            index = [row[unit] for row in rows]
            index.insert(dimension % len(shape), unit)
            output[tuple(index)] = [1e-6, np.nan, -1.0][look % 3]
        output[output == 0] = 9e-7
        units.see(torch.from_numpy(output), dimension)
        silent.append(~speaks)
        count = units.end_look()
        wanted = np.all(silent[-WINDOW:], axis=0) & (look + 1 >= WINDOW)
        assert units.dead() == np.flatnonzero(wanted).tolist()
        assert count is not None
        assert int(count) == wanted.sum()
    assert units.number == 7


def test_calls_of_a_look_speak_for_each_other_and_other_units_start_over() -> None:
    units = Units()
    for _ in range(WINDOW):
        units.see(torch.tensor([[0.0, 0.0, 1.0]]), -1)
        units.see(torch.tensor([[1.0, 0.0, 0.0]]), -1)
        units.end_look()
    assert units.dead() == [1]
    units.see(torch.zeros(2, 5), -1)
    units.end_look()
    assert (units.dead(), units.number) == ([], 5)
    assert units.end_look() is None  # no call


@pytest.mark.parametrize("shape", [(4, 6), (16, 64, 96), (8, 3, 130, 70)])
def test_spread_of_samples_around_a_common_signal(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    for noise in (0.0, 1e-4, 0.3):
        output = torch.randn(shape[1:]) + noise * torch.randn(shape)
        between, total = spread.between(output).tolist()
        exact = output.double()
        wanted = float((exact - exact.mean(0)).norm() / exact.norm())
        assert np.sqrt(between / total) == pytest.approx(wanted, rel=1e-9 if output.numel() < 100 else 0.05, abs=1e-7)


def test_a_sample_of_a_wide_output_comes_by_each_feature() -> None:
    output = torch.zeros(2, 512, 256)
    output[1, :, 77] = 1.0  # all that differs
    between, total = spread.between(output).tolist()
    assert total > 0
    assert np.sqrt(between / total) == pytest.approx(np.sqrt(0.5))


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        ([(nn.Conv2d(1, 4, 1), "conv", (2, 4, 5, 5)), (nn.ReLU(), "activation", (2, 4, 5, 5))], 1),
        ([(nn.Conv1d(1, 4, 1), "conv", (2, 4, 5)), (nn.ReLU(), "activation", (2, 4, 5))], 1),
        ([(nn.Conv2d(1, 4, 1), "conv", (4, 5, 5)), (nn.ReLU(), "activation", (4, 5, 5))], 0),
        ([(nn.Linear(3, 4), "linear", (2, 5, 5, 4)), (nn.GELU(), "activation", (2, 5, 5, 4))], 3),
        ([(nn.BatchNorm2d(4), "norm", (2, 4, 5, 5)), (nn.ReLU(), "activation", (2, 4, 5, 5))], 1),
        ([(nn.Linear(3, 4), "linear", (2, 4)), (nn.ReLU(), "activation", (2, 3, 7, 7))], 1),
        ([(nn.ReLU(), "activation", (2, 5, 4))], 2),
    ],
)  # fmt: skip
def test_units_lie_where_the_layer_before_has_them(
    calls: Sequence[tuple[nn.Module, Kind, tuple[int, ...]]], wanted: int
) -> None:
    layout = Layout()
    for module, kind, shape in calls:
        dimension = layout.of(module, kind, torch.zeros(shape))
    assert dimension % len(calls[-1][2]) == wanted
