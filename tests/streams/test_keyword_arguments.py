"""Models in the manner of Hugging Face: keyword arguments alone, outputs as objects, tied embeddings, own functions."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from tb_gradhealth import GradHealthWriter, open_run

Floats = npt.NDArray[np.float64]

EVERY, STEPS, WORDS, WIDTH = 2, 5, 11, 8


@dataclasses.dataclass
class Output:
    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class ModelOutput(OrderedDict[str, Any]):
    """Items are attributes too, and what is None is left out, as transformers has it."""

    def __init__(self, **items: Any) -> None:
        super().__init__({name: item for name, item in items.items() if item is not None})

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


class NewGELUActivation(nn.Module):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(input)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.act, self.down = nn.Linear(WIDTH, WIDTH), NewGELUActivation(), nn.Linear(WIDTH, WIDTH)

    def forward(self, *, hidden_states: torch.Tensor, scale: float = 1.0) -> ModelOutput:
        bent = self.act(input=self.up(input=hidden_states) * scale)
        return ModelOutput(cache=None, hidden_states=hidden_states + self.down(input=bent))


class Tied(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.output = output
        self.embed_tokens = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(2))
        self.lm_head = nn.Linear(WIDTH, WORDS, bias=False)
        self.lm_head.weight = self.embed_tokens.weight

    def forward(self, *, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        hidden = self.embed_tokens(input=input_ids)
        for layer in self.layers:
            hidden = layer(hidden_states=hidden, scale=4.0).hidden_states
        logits = self.lm_head(input=hidden)
        loss = None if labels is None else nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return self.output(loss=loss, logits=logits)


class Kept:
    """Outputs of layers by name, and what the first function was given, call by call."""

    def __init__(self, model: Tied) -> None:
        self.outputs: dict[str, list[Floats]] = {}
        self.bent: list[Floats] = []
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                self.outputs[name] = []
                module.register_forward_hook(
                    lambda _, arguments, out, name=name: self.outputs[name].append(double(out))
                )
        first: Any = model.layers[0]
        first.act.register_forward_pre_hook(
            lambda _, arguments, named: self.bent.append(double(named["input"])), with_kwargs=True
        )


def double(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy().copy()


def train(model: Tied, logdir: Path | None, activations: Any) -> list[torch.Tensor]:
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-2)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, every=EVERY, activations=activations)
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        ids = torch.randint(WORDS, (3, 7), generator=generator)
        model(input_ids=ids, labels=ids.roll(-1, 1)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    if logdir is not None:
        assert optimizer.gradhealth.problems == 0
        optimizer.gradhealth.close()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize("output", [Output, ModelOutput])
@pytest.mark.parametrize("activations", ["auto", ["*"]], ids=["auto", "all"])
def test_modules_are_seen_with_inputs_and_outputs(tmp_path: Path, output: Any, activations: Any) -> None:
    model = Tied(output)
    kept = Kept(model)
    watched, bare = train(model, tmp_path, activations), train(Tied(output), None, activations)
    assert all(torch.equal(one, other) for one, other in zip(watched, bare, strict=True))
    run = open_run(tmp_path)
    tensors = {node.name for node in run.timeline("activations").sessions[0].schema.nodes if node.kind == "tensor"}
    wanted = {*kept.outputs, "layers.0.act", "layers.1.act"}
    assert tensors == wanted if activations == "auto" else tensors >= {*wanted, "layers.0", "layers.1"}
    for stream in ("activations", "activation_gradients"):
        assert np.isfinite(run.read(stream, "norm", nodes=sorted(wanted)).values).all()
    for name, outputs in kept.outputs.items():
        norms = [np.linalg.norm(one) for one in outputs[::EVERY]]
        np.testing.assert_allclose(run.read("activations", "norm", nodes=[name]).values[0], norms, rtol=2e-3)
    beyond = [float((np.abs(one) > 3).mean()) for one in kept.bent[::EVERY]]
    assert min(beyond) > 0
    found = run.read("activations", "limit_fraction", nodes=["layers.0.act"])
    np.testing.assert_allclose(found.values[0], beyond, rtol=2e-3)
