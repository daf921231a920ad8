"""Token ids are looked at before an embedding is: a wrong one costs a GPU's process all that it has there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ..boundary.names import Names
from .leaves import leaves


class OutsideVocabulary(Exception):
    """An embedding was asked for a row that it has not; on a GPU that would end the process's use of it."""

    def __init__(self, name: str, token: int, rows: int) -> None:
        super().__init__(f"{name} has {rows} rows, and was asked for row {token}")
        self.name, self.token, self.rows = name, token, rows


@contextlib.contextmanager
def vocabulary_checked(model: nn.Module) -> Iterator[None]:
    """Raises :class:`OutsideVocabulary` before an embedding looks a token up that it does not have."""
    names = {id(one.module): one.name for one in Names(model).modules()}

    def look(module: nn.Module, arguments: Any, named: Mapping[str, Any]) -> None:
        rows = int(module.num_embeddings)  # type: ignore[arg-type]
        for _, tokens in leaves((arguments, dict(named))):
            if tokens.numel() and not tokens.is_meta and tokens.dtype in (torch.int64, torch.int32):
                low, high = (int(one) for one in torch.aminmax(tokens))
                if low < 0 or high >= rows:
                    raise OutsideVocabulary(names[id(module)], low if low < 0 else high, rows)
                return

    handles = [
        one.register_forward_pre_hook(look, with_kwargs=True)
        for one in model.modules()
        if isinstance(one, (nn.Embedding, nn.EmbeddingBag))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
