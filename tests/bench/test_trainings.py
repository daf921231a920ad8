"""What trains in ``python -m bench overhead``: the model of the issue, and hooks that write what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.overhead.hooks import GradientHooks
from bench.overhead.trainings import SIZES, Size, Training, deterministic
from gradhealth_kernels import figures
from gradhealth_kernels.launch import StepRing
from tb_gradhealth.demo.model import GPT, GPTConfig

CPU = torch.device("cpu")
TINY = Size(
    "tiny GPT",
    GPTConfig(vocabulary=11, width=16, layers=1, heads=2, sequence=8),
    batch=2,
    micro_batches=2,
    autocast=True,
    tied=True,
)


def test_hooks_write_what_the_writer_measures(tmp_path: Path) -> None:
    training = Training(TINY, CPU)
    hooks = GradientHooks(training.model, tmp_path)
    entries: list[Any] = []
    named = dict(training.model.named_parameters())

    def keep() -> None:
        ring = StepRing(len(named), 1)
        ring.measure_gradients(0, list(named.values()))
        entries.append(ring.take(1).entries()[0])
        hooks.next_step()

    training.last_backward = lambda: setattr(hooks, "due", True)
    training.after_step = keep
    training.advance(2)
    hooks.close()
    written = hooks.written()
    assert len(written) == 2 * 5 * len(named)
    assert hooks.steps() == 2
    for step, measured in enumerate(entries):
        expected = {
            "norm": figures.norm(measured),
            "mean": figures.mean(measured),
            "max": measured["abs_max"],
            "zero_fraction": measured["zero"] / measured["count"],
            "nan": measured["nan"],
        }
        for figure, values in expected.items():
            found = [written[f"{figure}/{name}", step] for name in named]
            assert found == pytest.approx(list(values), rel=1e-5, abs=1e-9), figure
    # Tokens that did not come up: without zeros the comparison would say little.
    assert entries[0]["zero"].sum() > 0


def test_the_large_model_is_the_one_of_the_issue() -> None:
    size = SIZES["1.3b"]
    width, layers, vocabulary, sequence = 2048, 24, 50_304, 1024
    with torch.device("meta"):
        model = GPT(size.config)
    model.head.weight = model.embedding.weight
    # Attention 4 w², MLP 8 w² + 5 w, two norms of 2 w; then embedding, positions and the last norm.
    expected = layers * (12 * width**2 + 9 * width) + (vocabulary + sequence + 2) * width
    assert sum(p.numel() for p in model.parameters()) == expected
    assert size.tokens == 16_384
    assert size.autocast
    assert size.tied
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_deterministic_algorithms_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    settings: Any = torch.utils.deterministic
    with deterministic(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
        assert not settings.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()
    assert settings.fill_uninitialized_memory
