"""Odd modules and loops with activations on: each is measured or told of, and none is harmed."""

from __future__ import annotations

import copy
import dataclasses
import gc
import io
import logging
import pickle
import tracemalloc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.boundary.names import Names
from tb_gradhealth.monitor import GradHealthWarning
from tb_gradhealth.streams import spread
from tb_gradhealth.streams.choosing import choose, kind_of
from tests.boundary.test_memory import drain, tensors


class Loop:
    """A training of ``model`` with activations on, every step looked at."""

    def __init__(self, model: nn.Module, logdir: Path, activations: Any = "auto", **options: Any) -> None:
        self.model, self.logdir = model, logdir
        self.optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01)
        options = {"every": 1, **options}
        self.optimizer = GradHealthWriter(self.optimizer, model, logdir=logdir, activations=activations, **options)
        self.generator = torch.Generator().manual_seed(1)

    def steps(self, number: int, forward: Callable[[torch.Tensor], torch.Tensor] | None = None) -> list[float]:
        losses = []
        for _ in range(number):
            loss = (
                (self.model if forward is None else forward)(torch.randn(4, 6, generator=self.generator))
                .square()
                .mean()
            )
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            losses.append(float(loss))
        return losses

    def counts(self, stream: str = "activations") -> dict[str, list[int]]:
        """Closes. Module → elements that were measured of it, by step."""
        self.optimizer.gradhealth.close()
        return elements(self.logdir, stream)


def elements(logdir: Path, stream: str) -> dict[str, list[int]]:
    """Node → elements, (norm / rms)², by step."""
    run = open_run(logdir)
    if stream not in run.streams:
        return {}
    norm, rms = run.read(stream, "norm", view="max"), run.read(stream, "rms", view="max")
    with np.errstate(invalid="ignore"):
        found = np.rint(np.nan_to_num((norm.values / rms.values) ** 2) / 4).astype(int) * 4
    return {node: found[row].tolist() for row, node in enumerate(norm.nodes)}


def mlp(*middle: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), *(middle or (nn.ReLU(),)), nn.Linear(8, 1))


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [one.detach().clone() for one in model.parameters()]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def hooks(model: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules())


def bare(model: nn.Module, number: int, forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> list[float]:
    optimizer, generator, losses = torch.optim.SGD(model.parameters(), lr=0.01), torch.Generator().manual_seed(1), []
    for _ in range(number):
        loss = forward(model, torch.randn(4, 6, generator=generator)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    return losses


# Which modules


def test_what_auto_means() -> None:
    class MyAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MultiheadAttention(4, 2)
            self.q = nn.Linear(4, 4)

    class QuickGELU(nn.Module):
        pass

    model = nn.ModuleDict(
        {
            "a": MyAttention(), "b": QuickGELU(), "c": nn.Dropout(), "d": nn.Conv1d(2, 2, 1), "e": nn.Embedding(3, 2),
            "f": nn.RMSNorm(4), "g": nn.LSTM(4, 4), "h": nn.Sequential(nn.Softplus(), nn.Identity()),
        }
    )  # fmt: skip
    found = choose(Names(model).modules(), "auto", pytest.fail)
    assert {one.name: one.kind for one in found} == {
        "a.inner": "attention", "a.q": "linear", "b": "activation", "d": "conv", "e": "embedding", "f": "norm",
        "g": "recurrent", "h.0": "activation",
    }  # fmt: skip
    assert kind_of(nn.Dropout()) == "other"


def test_patterns_and_one_that_matches_nothing(tmp_path: Path) -> None:
    model = nn.Sequential(mlp(), nn.Linear(1, 1))
    with pytest.warns(GradHealthWarning, match=r"no module is called like 'body\.\*': correct the spelling, names"):
        loop = Loop(model, tmp_path, ["0.[01]", "body.*"])
    loop.steps(2)
    assert loop.optimizer.gradhealth.problems == 1
    assert loop.counts() == {"": [64, 64], "0": [64, 64], "0.0": [32, 32], "0.1": [32, 32]}


def test_names_are_those_without_wrappers() -> None:
    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self._checkpoint_wrapped_module = inner

    model = nn.DataParallel(nn.ModuleDict({"layer": Wrapped(nn.Linear(1, 1))}))
    names = [one.name for one in Names(model).modules()]
    assert names == ["ModuleDict", "layer"]
    tied = nn.ModuleList([nn.Linear(1, 1)] * 2)
    assert [(one.name, one.aliases) for one in Names(tied, "net").modules()][1] == ("net.0", ("net.1",))


@pytest.mark.parametrize(
    ("activations", "error", "text"),
    [
        ("encoder", TypeError, "True, False or a list of shell patterns on names of modules, got the string 'encoder'"),
        (3, TypeError, 'got int: pass "auto", or a list such as'),
        ([1], TypeError, "got int in it: pass names such as"),
        ([], ValueError, "got an empty one: pass False to look at none"),
    ],
)
def test_wrong_arguments(activations: Any, error: type[Exception], text: str) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(error) as raised:
        GradHealthWriter(optimizer, model, activations=activations)
    assert text in str(raised.value)
    assert type(optimizer) is torch.optim.SGD
    assert not hooks(model)


def test_activations_without_a_model() -> None:
    with pytest.raises(ValueError, match="expected a model whose modules are looked at, got none: pass model="):
        GradHealthWriter(torch.optim.SGD(mlp().parameters(), lr=0.1), activations=True)


# What modules return


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: Any = None


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: (None, (torch.arange(3), x), x[:1]),
        lambda x: [x],
        lambda x: {"ids": torch.arange(3), "logits": x},
        lambda x: Output(x),
        lambda x: nn.utils.rnn.pack_sequence([x]),
        lambda x: None,
    ],
    ids=["tuple", "list", "dict", "dataclass", "packed", "None"],
)
def test_the_first_tensor_of_what_is_returned_is_measured(tmp_path: Path, wrap: Callable[..., Any]) -> None:
    class Wrapping(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return wrap(x)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.odd = nn.Linear(6, 8), Wrapping()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.layer(x)
            self.odd(x)
            return x

    loop = Loop(Whole(), tmp_path, ["layer", "odd"])
    loop.steps(2)
    assert loop.optimizer.gradhealth.problems == 0
    found = loop.counts()
    assert found["layer"] == [32, 32]
    assert found["odd"] == ([0, 0] if wrap(torch.zeros(1)) is None else [32, 32])


def test_an_output_that_cannot_be_measured_is_said(tmp_path: Path) -> None:
    class Sparse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.to_sparse_csr()

    model = mlp()
    model.add_module("odd", Sparse())
    with pytest.warns(GradHealthWarning, match="ValueError: expected a strided or sparse COO tensor"):
        loop = Loop(model, tmp_path, ["*"])
        loop.steps(2, lambda x: (model[0](x), model[3](x), model[2](model[1](model[0](x))))[2])
    assert loop.counts()["0"] == [64]  # parts of the model, called twice, from the second step on


# How a loop calls them


def test_a_module_called_several_times_is_merged_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(6, 8), relu, nn.Linear(8, 8), relu)
    with caplog.at_level(logging.INFO, "tb_gradhealth"):
        loop = Loop(model, tmp_path)
        loop.steps(3)
        for _ in range(2):  # accumulated gradients are no repetition
            model(torch.randn(4, 6)).sum().backward()
        loop.optimizer.step()
    said = [record.message for record in caplog.records if "several times" in record.message]
    assert said == ["activations: 1 is called several times in a forward pass; its calls are merged"]
    assert loop.optimizer.gradhealth.problems == 0
    assert loop.counts()["1"] == [64, 64, 64, 128]
    assert elements(tmp_path, "activation_gradients")["1"] == [64, 64, 64, 128]


def test_passes_without_gradients_do_not_count(tmp_path: Path) -> None:
    model = mlp()
    loop = Loop(model, tmp_path)
    for _ in range(2):
        loop.steps(1)
        model.eval()
        with torch.no_grad():
            model(torch.randn(100, 6))
        with torch.inference_mode():
            model(torch.randn(100, 6))
        model.train()
    assert loop.counts()["0"] == [32, 32]


def test_parts_of_the_model_that_are_called_by_themselves(tmp_path: Path) -> None:
    model = mlp()
    loop = Loop(model, tmp_path)
    loop.optimizer.gradhealth.load_state_dict({"step": 0})  # looks at the first step anew
    loop.steps(4, lambda x: model[2](model[1](model[0](x))))
    assert loop.optimizer.gradhealth.problems == 0
    assert loop.counts()["0"] == [32, 32, 32]  # not at the first step


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_modules_are_counted_once(tmp_path: Path, reentrant: bool) -> None:
    def forward(model: Any, x: torch.Tensor) -> torch.Tensor:
        x = checkpoint(lambda x: model.bend(model.inner(x)), model.first(x), use_reentrant=reentrant)
        out: torch.Tensor = model.last(x)
        return out

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.inner = nn.Linear(6, 6), nn.Linear(6, 8)
            self.bend, self.last = nn.GELU(), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return forward(self, x)

    loop, twin = Loop(Checkpointed(), tmp_path), Checkpointed()
    assert loop.steps(4) == bare(twin, 4, forward)
    assert same(loop.model, twin)
    assert loop.optimizer.gradhealth.problems == 0
    found = loop.counts()
    gradients = elements(tmp_path, "activation_gradients")
    assert found["inner"] == found["bend"] == gradients["inner"] == gradients["bend"] == [32] * 4


def test_double_backward_and_retained_graphs(tmp_path: Path) -> None:
    def penalty(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        x = x.requires_grad_()
        out = model(x)
        (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return out + slope.square().sum()

    loop, twin = Loop(mlp(nn.Tanh()), tmp_path), mlp(nn.Tanh())
    assert loop.steps(3, lambda x: penalty(loop.model, x)) == bare(twin, 3, penalty)
    assert same(loop.model, twin)
    loss = loop.model(torch.randn(4, 6)).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    loop.optimizer.step()
    assert loop.optimizer.gradhealth.problems == 0
    gradients = elements(tmp_path, "activation_gradients") if loop.counts() else {}
    assert gradients["1"][0] > 32  # each time that autograd hands one on
    assert gradients["1"][3] == 64


def test_a_graph_of_an_earlier_step_does_not_count(tmp_path: Path) -> None:
    class Shift(nn.Module):
        """Keeps no parameter for its backward pass, which may so come after a step."""

        def __init__(self) -> None:
            super().__init__()
            self.by, self.bend = nn.Parameter(torch.zeros(6)), nn.Tanh()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.bend(x + self.by)
            return out

    loop = Loop(Shift(), tmp_path)
    late = loop.model(torch.randn(4, 6)).sum()
    late.backward(retain_graph=True)
    loop.optimizer.step()
    late.backward()
    loop.model(torch.randn(8, 6)).sum().backward()
    loop.optimizer.step()
    assert loop.counts()["bend"] == [24, 48]
    assert elements(tmp_path, "activation_gradients")["bend"] == [24, 48]


def test_lbfgs_counts_the_first_evaluation_of_a_step(tmp_path: Path) -> None:
    model, x = mlp(nn.Tanh()), torch.randn(4, 6)
    optimizer: Any = torch.optim.LBFGS(model.parameters(), max_iter=4)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1, activations=True)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = (model(x) - 1).square().mean()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    optimizer.gradhealth.close()
    assert elements(tmp_path, "activations")["0"] == [32, 32, 32]
    assert elements(tmp_path, "activation_gradients")["0"] == [32, 32, 32]


def test_a_hook_that_fails_is_reported_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(output: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("planted")

    monkeypatch.setattr(spread, "between", broken)
    twin = mlp()
    with pytest.warns(GradHealthWarning, match="RuntimeError: planted"):
        loop = Loop(mlp(), tmp_path)
        losses = loop.steps(3)
    assert losses == bare(twin, 3, lambda model, x: model(x))
    assert loop.optimizer.gradhealth.problems == 9


# What becomes of the model


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_the_model_are_not_measured(tmp_path: Path, copied: Callable[[nn.Module], nn.Module]) -> None:
    loop = Loop(mlp(nn.GELU()), tmp_path)
    loop.steps(2)
    other = copied(loop.model)
    assert same(other, loop.model)
    other(torch.randn(100, 6)).sum().backward()
    loop.steps(2)
    again = copied(other)
    again(torch.randn(3, 6))
    assert loop.counts()["0"] == [32] * 4


def test_saved_models_need_nothing_of_ours(tmp_path: Path) -> None:
    loop = Loop(mlp(), tmp_path)
    loop.steps(2)
    buffer = io.BytesIO()
    torch.save(loop.model, buffer)
    assert b"gradhealth" not in buffer.getvalue()
    assert set(loop.model.state_dict()) == set(mlp().state_dict())


def test_close_leaves_no_hook(tmp_path: Path) -> None:
    model = mlp(nn.GELU())
    loop = Loop(model, tmp_path, every=3)
    assert hooks(model) == 2  # on the model alone
    loop.steps(2)
    assert hooks(model) == 2
    loop.steps(1)  # the next one is looked at
    assert hooks(model) == 2 + 4
    loop.optimizer.gradhealth.close()
    assert hooks(model) == 0


def test_a_model_that_is_let_go_is_freed(tmp_path: Path) -> None:
    loop = Loop(mlp(), tmp_path)
    loop.steps(2)
    gone = weakref.ref(loop.model[1])  # type: ignore[index]
    loop.model = nn.Identity()
    gc.collect()
    assert gone() is None
    loop.optimizer.step()
    assert loop.optimizer.gradhealth.problems == 0


def test_a_module_that_is_replaced_is_measured_from_then_on_and_said(tmp_path: Path) -> None:
    model = mlp()
    loop = Loop(model, tmp_path)
    loop.steps(2)
    model[1] = nn.Tanh()
    with pytest.warns(GradHealthWarning, match="modules of the model came, went or were replaced: 1"):
        loop.steps(2)
    model.to(torch.float64).to(torch.float32)  # a move is no replacement
    loop.steps(1)
    assert loop.optimizer.gradhealth.problems == 1
    assert loop.counts()["1"] == [32] * 5


def test_a_module_that_is_added_begins_a_session(tmp_path: Path) -> None:
    model = mlp()
    loop = Loop(model, tmp_path)
    loop.steps(2)
    model.append(nn.Linear(1, 1))
    with pytest.warns(GradHealthWarning, match="came, went or were replaced: 3"):
        loop.steps(3)
    found = loop.counts()
    assert found["3"][-2:] == [4, 4]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_compiled_models_train_alike_and_are_said_not_to_be_measured(tmp_path: Path) -> None:
    import torch._dynamo

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.bend, self.last = nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.last(self.bend(self.first(x)))
            return out

    def compiled(kind: str, model: Net) -> Callable[[torch.Tensor], torch.Tensor]:
        torch._dynamo.reset()
        if kind == "whole":
            return torch.compile(model, backend="aot_eager", fullgraph=True)  # type: ignore[return-value]
        if kind == "in place":
            model.compile(backend="aot_eager", fullgraph=True)
        else:
            model.first = torch.compile(model.first, backend="aot_eager", fullgraph=True)  # type: ignore[assignment]
        return model

    with torch._dynamo.config.patch(error_on_recompile=True):
        for kind in ("whole", "in place", "part"):
            net, twin = Net(), Net()
            forward, twin_forward = compiled(kind, net), None
            with pytest.warns(GradHealthWarning, match=r"torch\.compile"):
                loop = Loop(net, tmp_path / kind, every=2)
                losses = loop.steps(8, forward)
            twin_forward = compiled(kind, twin)
            assert losses == bare(twin, 8, lambda _, x, call=twin_forward: call(x))  # type: ignore[misc]
            assert bool(loop.counts()) == (kind == "part")


def test_validation_keeps_the_fast_path_of_torchs_transformer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.Sequential(nn.Linear(6, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, 1))
    x = torch.randn(4, 5, 6)
    loop = Loop(model, tmp_path)
    for _ in range(3):
        model.eval()
        with torch.no_grad():
            validated, wanted = model(x), copy.deepcopy(model)
            for one in wanted.modules():
                one._forward_hooks.clear()
                one._forward_pre_hooks.clear()
            assert torch.equal(validated, wanted(x))
        model.train()
        loop.steps(1, lambda _: model(x))
    found = loop.counts()
    assert found["1.layers.0.self_attn"] == [160] * 3
    assert "1.layers.0.self_attn.out_proj" not in found


# What it takes


def test_memory_stays_flat(tmp_path: Path) -> None:
    loop = Loop(mlp(nn.GELU()), tmp_path, every=2)
    loop.steps(100)
    drain(loop.optimizer)
    alive = tensors()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    loop.steps(150)
    drain(loop.optimizer)
    gc.collect()
    grown = [
        one
        for one in tracemalloc.take_snapshot().compare_to(before, "filename")
        if Path(one.traceback[0].filename).parent == Path(spread.__file__).parent
    ]
    tracemalloc.stop()
    assert tensors() <= alive + 20
    assert sum(one.size_diff for one in grown) < 50_000


def test_a_figure_that_a_step_lacks_is_that_of_the_last_time(tmp_path: Path) -> None:
    """A batch of one has nothing to compare; a mean over steps would take its spread for 0."""
    model = mlp()
    loop = Loop(model, tmp_path, every=1)
    for batch in (4, 1, 4):
        model(torch.randn(batch, 6)).square().mean().backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad()
    loop.optimizer.gradhealth.close()
    found = open_run(tmp_path).read("activations", "batch_spread", view="max")
    row = found.nodes.index("0")
    assert found.values[row, 0] == found.values[row, 1] != found.values[row, 2]


def test_a_batch_of_one_throughout_has_no_spread(tmp_path: Path) -> None:
    model = mlp()
    loop = Loop(model, tmp_path)
    for _ in range(2):
        model(torch.randn(1, 6)).square().mean().backward()
        loop.optimizer.step()
    loop.optimizer.gradhealth.close()
    assert np.isnan(open_run(tmp_path).read("activations", "batch_spread").values).all()


def test_dead_units_without_activations_is_a_problem_and_no_error(tmp_path: Path) -> None:
    model = mlp()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=tmp_path)
    with pytest.warns(GradHealthWarning, match=r"dead_units\(\): activations are not looked at: pass activations="):
        assert optimizer.gradhealth.dead_units() == {}
