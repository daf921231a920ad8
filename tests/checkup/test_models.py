"""Models that are not plain: wrapped, lazy, without values, of other dtypes, with other outputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from tb_gradhealth import doctor

from .models import batch, loss, perceptron
from .test_unchanged import state


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A process group of one."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("how", ["compiled", "compiled in place", "loss calls it"])
def test_compiled_models_are_looked_into(how: str) -> None:
    inner = perceptron()
    model: Any = inner
    if how == "compiled in place":
        inner.compile(backend="eager")
    else:
        model = torch.compile(inner, backend="eager")
    report = doctor(model, batch, (lambda one: loss(model, one)) if how == "loss calls it" else loss)
    assert [one.name for one in report.examined.calls] == ["0", "1", "2", "3", "4", "5", "6"]
    assert report.model == "Sequential"
    assert report.ok


def test_ddp_is_looked_into_and_still_trains(alone: None) -> None:
    model = DistributedDataParallel(perceptron())
    report = doctor(model, batch, loss)
    assert [one.name for one in report.examined.parts] == [name for name, _ in model.module.named_parameters()]
    loss(model, batch()).backward()
    expected = perceptron()
    loss(expected, batch()).backward()
    assert torch.equal(model.module[0].weight.grad, expected[0].weight.grad)


def test_lazy_models_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3))
    optimizer = torch.optim.SGD(list(model.parameters())[:2], 0.1)
    report = doctor(model, batch, loss, optimizer)
    assert [one.shape for one in report.examined.parts] == [(16, 8), (16,), (16,), (16,), (3, 16), (3,)]
    assert [one.listed for one in report.examined.parts] == [True, True, False, False, False, False]
    assert "a copy" in report.skipped[0]
    assert isinstance(model[0], nn.LazyLinear)
    assert isinstance(model[0].weight, nn.UninitializedParameter)
    with pytest.raises(ValueError, match=r"expected loss_fn\(model, batch\)"):
        doctor(model, batch, lambda one: loss(model, one))


def test_on_the_meta_device_there_is_nothing_but_shapes() -> None:
    with torch.device("meta"):
        model = perceptron()
    report = doctor(model, batch, loss)
    assert "8 parameters, such as 0.weight, are on the meta device" in report.skipped[0]
    assert report.content()["model"]["parameters"] == 8 * 16 + 2 * 16 * 16 + 16 * 3 + 3 * 16 + 3
    assert report.examined.memory.parameters == 4 * report.content()["model"]["parameters"]
    assert "as far as its parts can tell" in str(report)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes(dtype: torch.dtype) -> None:
    report = doctor(perceptron().to(dtype), lambda: (batch()[0].to(dtype), batch()[1]), loss)
    assert report.ok
    assert report.examined.parts[0].dtype == str(dtype).removeprefix("torch.")


def test_recurrent_layers_are_held_against_their_own_default() -> None:
    model = nn.LSTM(8, 12, batch_first=True)
    report = doctor(model, lambda: torch.randn(4, 5, 8), lambda model, x: model(x)[0].square().mean())
    ratio = report.examined.parameters.ratio
    # Uniform in ±1/√hidden, both of them: `nn.RNNBase.reset_parameters`.
    assert ratio[0] == pytest.approx(1.0, abs=0.1)
    assert ratio[1] == pytest.approx(1.0, abs=0.1)
    assert report.examined.calls[0].shape == (4, 5, 12)


class Output(OrderedDict[str, Any]):
    """As transformers' ModelOutput: a dictionary with attributes."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


@pytest.mark.parametrize("kind", ["tuple", "dict", "output"])
def test_outputs_of_several_parts(kind: str) -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 3)

        def forward(self, input_: torch.Tensor, labels: torch.Tensor) -> Any:
            logits = self.head(self.body(input_))
            found = {"logits": logits, "loss": functional.cross_entropy(logits, labels)}
            return {"tuple": tuple(found.values()), "dict": found, "output": Output(found)}[kind]

    def take(model: nn.Module, one: dict[str, torch.Tensor]) -> Any:
        found = model(**one)
        return found[1] if kind == "tuple" else found

    inputs, labels = batch()
    report = doctor(Several(), lambda: {"input_": inputs, "labels": labels}, take)
    assert report.examined.output is not None
    assert report.examined.output.shape == (32, 3)
    assert [one.name for one in report.examined.inputs] == ["input_"]
    assert [one.name for one in report.examined.targets] == ["labels"]
    assert report.examined.crossed is not None
    assert report.examined.head == "head"


def test_a_model_without_parameters() -> None:
    report = doctor(nn.Tanh(), lambda: batch()[0], lambda output, one: output.sum())
    assert (report.ok, report.examined.parts, report.examined.gradients) == (True, (), None)


def test_parts_that_did_not_run_are_no_alarm() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.one(x)
            return out

    (finding,) = doctor(Heads(), batch, loss).findings
    assert (finding.rule, finding.severity, finding.node) == ("no_gradient", "notice", "other.weight")


def test_checkpoints_of_both_kinds() -> None:
    class Checkpointed(nn.Module):
        def __init__(self, reentrant: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.head = nn.Linear(8, 64), nn.Linear(64, 3)
            self.body = nn.Sequential(nn.Linear(64, 64), nn.Tanh())
            self.reentrant = reentrant

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x)
            out: torch.Tensor = self.head(checkpoint(self.body, h, use_reentrant=self.reentrant))
            return out

    norms = []
    for reentrant in (True, False):
        model = Checkpointed(reentrant)
        before = state(model)
        report = doctor(model, batch, loss)
        assert report.examined.gradients is not None
        norms.append(report.examined.gradients.norm.tolist())
        assert state(model) == before
    assert norms[0] == norms[1]
    assert not any(norm != norm or norm == 0 for norm in norms[0])


def test_memory_is_what_autograd_keeps() -> None:
    """Of a linear layer its input is kept, of a sigmoid its output; inputs and weights are there anyway."""
    model = nn.Sequential(nn.Linear(8, 64), nn.Sigmoid(), nn.Linear(64, 16), nn.Sigmoid())
    optimizer = torch.optim.AdamW(model.parameters())
    x = batch()[0]
    report = doctor(model, lambda: x, lambda output, one: output.sum(), optimizer)
    memory, count = report.examined.memory, 8 * 64 + 64 + 64 * 16 + 16
    assert memory.parameters == memory.gradients == 4 * count
    assert memory.kept == 4 * (32 * 64 + 32 * 16)
    assert (memory.optimizer, memory.optimizer_name) == (8 * count, "AdamW")


def test_tied_parameters_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(10, 8), nn.Linear(8, 10, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.embedding(tokens))
            return out

    tokens = torch.arange(12).reshape(4, 3) % 10
    report = doctor(Tied(), lambda: (tokens, tokens[:, 0]), lambda model, one: loss(lambda x: model(x)[:, -1], one))
    counts = report.content()["model"]
    assert (counts["parameters"], counts["tied"]) == (80, {"embedding.weight": ["head.weight"]})
    assert "tied: embedding.weight = head.weight" in str(report)


def test_wrapped_parts_keep_their_names() -> None:
    """Of a part that checkpoints itself, and of a parameter of the model itself, which comes before its parts."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = checkpoint_wrapper(nn.Linear(8, 3))
            self.shift, self.unused = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.body(x + self.shift)
            return out

    report = doctor(Model(), batch, loss)
    assert [one.name for one in report.examined.parts] == ["shift", "unused", "body.weight", "body.bias"]
    (finding,) = report.findings
    assert (finding.rule, finding.severity, finding.node) == ("no_gradient", "medium", "unused")


def test_a_model_of_nothing_but_its_own_parameters_on_sparse_inputs() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
            self.coded = nn.Parameter(torch.zeros(4, 4).to(torch.float8_e4m3fn), requires_grad=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sparse.mm(x, self.weight)

    inputs, labels = batch()
    report = doctor(Bare(), lambda: (inputs.relu().to_sparse(), labels), loss)
    assert (report.findings, report.examined.calls, report.examined.inputs) == ((), [], ())
    assert report.examined.gradients is not None
    assert "float8_e4m3fn" in str(report)
