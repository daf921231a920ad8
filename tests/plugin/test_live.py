"""A run that is being written shows as it grows, and a restart into the same directory continues it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.encoder import Encoder
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.records import EventFile

from ..synthetic import Recording, recorded
from .board import Board

RUN = "exp/gradhealth"


@pytest.mark.parametrize("fast", ["true", "false"], ids=["rust", "python"])
def test_rows_appear_while_the_run_goes_on_and_after_a_restart(tmp_path: Path, fast: str) -> None:
    board = Board(tmp_path, fast, "--reload_interval", "0.2")
    recording = Recording(recorded(100))
    problems: list[str] = []
    events = EventTier(EventFile(tmp_path / "exp" / "gradhealth", recording.session), recording.schema, 32 << 20)
    builder = RowBuilder(recording.tree, recording.chosen, 10)
    encoder = Encoder(events, None, recording.schema, builder, problems.append)
    revisions = []
    for block in recording.blocks():
        encoder.submit(block)
        end = block.first_step + len(block.taken.entries())
        if end in (10, 50):

            def shown(b: Board, end: int = end) -> bool:
                answer = b.get("meta", run=RUN)
                return answer.status == 200 and bool(answer.json["steps"] == [0, end])

            board.wait(shown)
            revisions.append(board.runs()[RUN]["revision"])
            assert board.get("meta", run=RUN).json["revision"] == revisions[-1]
    encoder.close(30)
    recording.again(entries=recorded(90), start=60, session="f" * 16, wall_time=1.8e9).write(
        tmp_path / "exp" / "gradhealth"
    )
    board.wait(lambda b: bool(b.get("meta", run=RUN).json["steps"] == [0, 150]))
    revisions.append(board.runs()[RUN]["revision"])
    assert revisions == sorted(set(revisions))
    tile = board.tile(RUN, "norm", "max", "0.0.0")
    assert tile.columns == 15
    assert np.isfinite(tile.values[: tile.rows, :15]).all()
    assert not tile.flags.any()
    assert problems == []
