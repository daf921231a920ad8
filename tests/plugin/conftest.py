"""One log directory with every kind of run, and a TensorBoard over it with the Rust data server and one without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from . import logs
from .board import Board


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.write(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def board_with(logdir: Path) -> Callable[[str], Board]:
    """``"true"`` or ``"false"``, as in ``--load_fast`` → a board that has read everything."""
    boards: dict[str, Board] = {}

    def get(fast: str) -> Board:
        if fast not in boards:
            boards[fast] = Board(logdir, fast)
            boards[fast].wait(logs.all_read)
        return boards[fast]

    return get


@pytest.fixture(scope="session", params=["true", "false"], ids=["rust", "python"])
def board(request: pytest.FixtureRequest, board_with: Callable[[str], Board]) -> Board:
    return board_with(request.param)
