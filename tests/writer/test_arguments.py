"""Wrong arguments raise at construction, say what was expected, what came and what to do, and change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from .loops import Net


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"every": 0}, ValueError, "every: expected a number of steps, 1 or more, got 0"),
        ({"every": 2.5}, ValueError, "every: expected a number of steps, 1 or more, got 2.5"),
        ({"every": 1 << 31}, ValueError, "every: expected a number of steps"),
        ({"every": True}, ValueError, "every: expected a number of steps"),
        ({"start_step": -1}, ValueError, "start_step: expected a step number, 0 or more, got -1"),
        ({"near_zero": float("nan")}, ValueError, "near_zero: expected a finite threshold"),
        ({"metrics": ["norm", "entropy"]}, ValueError, "no metric is called 'entropy'"),
        ({"metrics": []}, ValueError, "metrics: expected names out of norm, rms"),
        ({"metrics": "norm"}, TypeError, "metrics: expected a list of names"),
        ({"logdir": "s3://bucket/run"}, ValueError, "logdir: expected a local directory, got s3://bucket/run"),
        ({"summary_writer": object()}, TypeError, "summary_writer: expected an open torch.utils.tensorboard.Summary"),
        ({"summary_writer": object(), "logdir": "x"}, ValueError, "expected logdir= or summary_writer=, got both"),
        ({"model": "net"}, TypeError, "model: expected a torch.nn.Module, got str"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception], text: str) -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(error) as raised:
        GradHealthWriter(optimizer, options.pop("model", model), **options)
    assert text in str(raised.value)
    assert type(optimizer) is torch.optim.SGD
    assert not optimizer._optimizer_step_pre_hooks


def test_something_that_is_no_optimizer() -> None:
    with pytest.raises(TypeError, match=r"expected a torch\.optim\.Optimizer, got Net: pass the object whose step\(\)"):
        GradHealthWriter(Net())


def test_a_model_with_none_of_the_optimizers_parameters(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the optimizer's 8 parameters belongs to this Net: pass the model"):
        GradHealthWriter(torch.optim.SGD(Net().parameters(), lr=0.1), Net(), logdir=tmp_path)


@pytest.mark.parametrize("inner", ["", "below/it"])
def test_a_logdir_that_is_a_file(tmp_path: Path, inner: str) -> None:
    (tmp_path / "file").write_text("")
    model = Net()
    with pytest.raises(NotADirectoryError, match=r"expected a directory or a new path, but .*file is a file"):
        GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=tmp_path / "file" / inner)


def test_wrapping_twice(tmp_path: Path) -> None:
    model = Net()
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=tmp_path)
    with pytest.raises(ValueError, match="watched already: wrap it once, or close it first"):
        GradHealthWriter(optimizer, model, logdir=tmp_path)


def test_an_optimizer_without_hooks_of_its_own(tmp_path: Path) -> None:
    class Facade(torch.optim.Optimizer):
        def __init__(self) -> None:
            """Hands everything to another optimizer, as some wrappers do."""

    with pytest.raises(TypeError, match="Facade has no step hooks of its own: watch the optimizer that it wraps"):
        GradHealthWriter(Facade(), logdir=tmp_path)
