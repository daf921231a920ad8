"""The GPT: its shapes, its size, and that no position sees what comes after it."""

from __future__ import annotations

import pytest
import torch

from tb_gradhealth.demo.model import GPT, GPTConfig

SMALL = GPTConfig(vocabulary=7, width=16, layers=2, heads=2, sequence=12, descriptors=3)


def inputs(config: GPTConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens ``[batch, position]`` and descriptors ``[batch, position, feature]``."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(config.vocabulary, (2, config.sequence), generator=generator)
    return tokens, torch.randn(2, config.sequence, config.descriptors, generator=generator)


def test_logits_have_a_score_for_each_token() -> None:
    assert GPT(SMALL)(*inputs(SMALL)).shape == (2, 12, 7)


def test_a_shorter_sequence_is_fine() -> None:
    tokens, descriptors = inputs(SMALL)
    assert GPT(SMALL)(tokens[:, :5], descriptors[:, :5]).shape == (2, 5, 7)


def test_the_demo_has_a_million_parameters() -> None:
    assert sum(p.numel() for p in GPT(GPTConfig(vocabulary=48, descriptors=11)).parameters()) >= 1_000_000


def test_without_descriptors_there_is_no_projection() -> None:
    model = GPT(GPTConfig(vocabulary=7, width=16, layers=1, heads=2, sequence=12))
    assert not any("projection" in name for name, _ in model.named_parameters())
    assert model(inputs(SMALL)[0]).shape == (2, 12, 7)


@pytest.mark.parametrize("changed", ["tokens", "descriptors"])
def test_no_position_sees_a_later_one(changed: str) -> None:
    torch.manual_seed(0)
    model = GPT(SMALL)
    tokens, descriptors = inputs(SMALL)
    before = model(tokens, descriptors)
    if changed == "tokens":
        tokens[:, 8] = (tokens[:, 8] + 1) % SMALL.vocabulary
    else:
        descriptors[:, 8] += 1
    after = model(tokens, descriptors)
    torch.testing.assert_close(after[:, :8], before[:, :8])
    assert (after[:, 8:] != before[:, 8:]).any(-1).all()


def test_every_parameter_gets_a_gradient() -> None:
    model = GPT(SMALL)
    model(*inputs(SMALL)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
