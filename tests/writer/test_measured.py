"""What stands in the file is what the optimizer consumed, step by step, against float64 figures taken in the loop."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run

from .loops import Floats, Net, cells, losses, node, timeline

#: Coding of magnitudes in the file: at most 0.18 % (docs/format.md).
CODED = 2e-3


def record(logdir: Path, steps: int, **options: Any) -> tuple[dict[str, Floats], Any]:
    """Train and note the float64 norm of each gradient ``[step]`` (NaN without one) just before the optimizer runs."""
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.05), model, logdir=logdir, **options)
    norms: dict[str, list[float]] = {name: [] for name, _ in model.named_parameters()}
    for step, _ in enumerate(losses(model, steps)):
        if step % 5 == 3:
            model.head.bias.grad = None
        for name, parameter in model.named_parameters():
            norms[name].append(np.nan if parameter.grad is None else parameter.grad.double().norm().item())
        optimizer.step()
    monitor = optimizer.gradhealth
    monitor.close()
    return {name: np.array(values) for name, values in norms.items()}, monitor


@pytest.mark.parametrize("every", [1, 4, 10, 33, 100])
def test_every_step_enters_its_row(tmp_path: Path, every: int) -> None:
    norms, monitor = record(tmp_path, 70, every=every)
    assert (monitor.step, monitor.problems) == (70, 0)
    history = timeline(tmp_path)
    assert (history.first, history.end, history.cell) == (0, 70, every)
    norms["body"] = np.sqrt(sum(norms[name] ** 2 for name in norms if name.startswith("body")))
    for name in ("body.0.weight", "body.2.bias", "head.bias", "body"):
        parts = [norms[name][i : i + every] for i in range(0, 70, every)]
        mean, low, high = cells(history, "norm", name, every)
        with np.errstate(invalid="ignore"):
            some = [part[~np.isnan(part)] for part in parts]
        for found, reduce in ((mean, np.mean), (low, np.min), (high, np.max)):
            expected = [reduce(part) if len(part) else np.nan for part in some]
            np.testing.assert_allclose(found, expected, rtol=CODED, err_msg=name)


def test_a_parameter_without_gradient_is_not_a_zero(tmp_path: Path) -> None:
    record(tmp_path, 20)
    history = timeline(tmp_path)
    for metric in history.metrics:
        assert np.isnan(cells(history, metric, "unused.weight", 10)[2]).all(), metric
        assert np.isnan(cells(history, metric, "unused", 10)[2]).all(), metric
    tally = history.tally(np.array([node(history, "unused.weight"), node(history, "head.bias")]), Grid(0, 10, 2))
    assert tally.with_data.tolist() == [[0, 0], [8, 8]]
    assert tally.recorded.tolist() == [10, 10]


def test_names_without_a_model_and_of_parameters_the_model_does_not_have(tmp_path: Path) -> None:
    model, extra = Net(), torch.nn.Parameter(torch.ones(3))
    optimizer: Any = torch.optim.SGD([{"params": model.head.parameters()}, {"params": [extra]}], lr=0.1)
    with GradHealthWriter(optimizer, model, logdir=tmp_path / "named"):
        for loss in losses(model, 1):
            assert loss > 0
            extra.grad = torch.ones(3)
            optimizer.step()
    named = timeline(tmp_path / "named").tree.names
    assert {"head.weight", "head.bias", "group1.param0"} <= set(named)
    with GradHealthWriter(optimizer, logdir=tmp_path / "unnamed"):
        optimizer.step()
    assert {"group0.param0", "group0.param1", "group1.param0"} <= set(timeline(tmp_path / "unnamed").tree.names)


def test_a_planted_nan_is_kept_and_dated_and_the_norm_survives(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path)
    for step, _ in enumerate(losses(model, 40)):
        weight = model.body[0].weight
        before = weight.detach().clone()
        if step == 23:
            assert weight.grad is not None
            weight.grad[3, 2], weight.grad[4, 1] = float("nan"), float("-inf")
        optimizer.step()
        weight.data.copy_(before)  # so that the planted values do not spread
    optimizer.gradhealth.close()
    history = timeline(tmp_path)
    which = np.array([node(history, name) for name in ("", "body", "body.0.weight", "head.weight")])
    tally = history.tally(which, Grid(0, 10, 4))
    assert tally.counts["nan"].tolist() == [[0, 0, 1, 0]] * 3 + [[0, 0, 0, 0]]
    assert tally.counts["neg_inf"][2].tolist() == [0, 0, 1, 0]
    assert tally.first_bad[:3, 2].tolist() == [23, 23, 23]
    assert cells(history, "nonfinite", "", 10)[2].tolist() == [0, 0, 2, 0]
    assert np.isfinite(cells(history, "norm", "body.0.weight", 10)[2]).all()


def test_logged_values_join_the_step_just_made_and_show_as_scalars(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.05), model, logdir=tmp_path, every=5)
    seen = []
    for step, loss in enumerate(losses(model, 15)):
        optimizer.step()
        optimizer.gradhealth.log(loss=loss, lr=0.1 * step)
        seen.append(loss.item())
    monitor = optimizer.gradhealth
    monitor.log(loss=torch.ones(3))
    monitor.close()
    assert monitor.problems == 1
    events = EventAccumulator(str(tmp_path / "gradhealth"), {"tensors": 0}).Reload()
    points = [(e.step, float(e.tensor_proto.float_val[0])) for e in events.Tensors("logged/loss")]
    expected = np.reshape(seen, (3, 5)).mean(axis=1)
    assert [step for step, _ in points] == [4, 9, 14]
    np.testing.assert_allclose([value for _, value in points], expected, rtol=1e-6)
    lr = [float(e.tensor_proto.float_val[0]) for e in events.Tensors("logged/lr")]
    np.testing.assert_allclose(lr, [0.2, 0.7, 1.2], rtol=1e-6)
    tags = set(events.Tags()["tensors"])
    assert {f"gradients/{m}/{a}" for m in ("norm", "near_zero_fraction", "nonfinite") for a in ("max", "mean")} <= tags


def test_chosen_metrics_alone_are_written(tmp_path: Path) -> None:
    record(tmp_path, 5, metrics=["rms", "norm"])
    assert list(timeline(tmp_path).metrics) == ["norm", "rms"]


def test_the_step_axis_continues_from_a_checkpoint(tmp_path: Path) -> None:
    _, monitor = record(tmp_path, 12, every=5)
    state = monitor.state_dict()
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.05), model, logdir=tmp_path, every=5)
    optimizer.gradhealth.load_state_dict(state)
    for _ in losses(model, 5):
        optimizer.step()
    optimizer.gradhealth.close()
    history = timeline(tmp_path)
    assert (history.end, len(history.sessions)) == (17, 2)
    record(tmp_path, 3, every=5, start_step=14)
    history = timeline(tmp_path)
    assert [session.schema.start_step for session in history.sessions] == [0, 12, 14]
    assert np.isfinite(cells(history, "norm", "", 1)[0]).all()


def test_summary_writer_receives_the_rows_instead(tmp_path: Path) -> None:
    model = Net()
    with SummaryWriter(str(tmp_path / "own")) as summary_writer:
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.05)
        with GradHealthWriter(optimizer, model, summary_writer=summary_writer):
            for step, loss in enumerate(losses(model, 12)):
                optimizer.step()
                summary_writer.add_scalar("mine", loss.item(), step)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert len(list((tmp_path / "own").glob("*tfevents*"))) == 1, "a second one would stop live reading of the first"
    assert (tmp_path / "own" / "gradhealth_archive").is_dir()
    run = Run()
    run.update(FileSource(tmp_path / "own"))
    assert run.timeline("gradients").end == 12


def test_a_summary_writer_that_is_closed_first_is_named_in_the_warning(tmp_path: Path) -> None:
    model, summary_writer = Net(), SummaryWriter(str(tmp_path))
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.05)
    GradHealthWriter(optimizer, model, summary_writer=summary_writer, archive="off")
    for _ in losses(model, 12):
        optimizer.step()
    summary_writer.close()
    with pytest.warns(GradHealthWarning, match=r"call optimizer.gradhealth.close\(\) first"):
        optimizer.gradhealth.close()


SCRIPT = """
    import os, sys, torch
    from tb_gradhealth import GradHealthWriter
    model = torch.nn.Linear(4, 4)
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=sys.argv[1])
    for step in range(25):
        model(torch.ones(4)).sum().backward()
        optimizer.step()
        if step == 11 and os.fork() == 0:
            {child}
"""


@pytest.mark.parametrize("child", ["sys.exit(0)", "optimizer.gradhealth.close(); os._exit(0)", "break"])
def test_an_unclosed_run_is_whole_and_a_forked_child_does_not_disturb_it(tmp_path: Path, child: str) -> None:
    script = textwrap.dedent(SCRIPT.format(child=child))
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    history = timeline(tmp_path)
    assert (history.end, len(history.sessions)) == (25, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_trains_has_a_session_of_its_own(tmp_path: Path) -> None:
    script = textwrap.dedent(SCRIPT.format(child="pass"))
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    history = timeline(tmp_path)
    assert [session.schema.start_step for session in history.sessions] == [0, 12]
    assert history.end == 25
