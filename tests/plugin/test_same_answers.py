"""TensorBoard with its data server, without it, and the files read directly: three ways to the very same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.plugin.tiles import tile
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.timeline import View

from ..synthetic import NAMES, Recording, gradients, measured
from .board import TILE_BYTES, Board

STEPS = 6000
#: What fits in it is a part of level 0 and of level 1.
EVENT_BYTES = 120_000


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("both")
    elements = gradients(STEPS, len(NAMES))
    elements[4321, 1, 2], elements[57, 3, 0], elements[5050, 2] = np.nan, np.inf, 1e9
    entries = measured(elements)
    entries[31:36, 2] = 0
    recording = Recording(entries)
    recording.write(logdir / "archived" / "gradhealth", archive=True, event_bytes=EVENT_BYTES, together=20)
    recording.write(logdir / "overview" / "gradhealth", event_bytes=EVENT_BYTES, together=3)
    return logdir


@pytest.fixture(scope="module")
def boards(logdir: Path) -> list[Board]:
    boards = [Board(logdir, fast) for fast in ("true", "false")]
    for board in boards:
        for run in ("archived/gradhealth", "overview/gradhealth"):
            board.wait(lambda b, run=run: run in b.runs() and b.get("meta", run=run).json["steps"] == [0, STEPS])
    return boards


@pytest.mark.parametrize("name", ["archived", "overview"])
def test_tiles_are_the_same_to_the_byte_whichever_way_they_come(logdir: Path, boards: list[Board], name: str) -> None:
    run = f"{name}/gradhealth"
    metas = [board.get("meta", run=run).json for board in boards]
    assert metas[0]["overview"] is metas[1]["overview"] is (name == "overview")
    assert [{**meta, "revision": 0} for meta in metas] == [{**metas[0], "revision": 0}] * 2
    timeline = open_directory(logdir / run).timeline("gradients")
    shown: tuple[tuple[str, View], ...] = (
        ("norm", "max"),
        ("norm", "worst"),
        ("near_zero_fraction", "min"),
        ("mean", "mean"),
    )
    for metric, view in shown:
        for level in range(metas[0]["levels"]):
            ids = f"{level}.0.0"
            bodies = [
                board.get("tiles", run=run, stream="gradients", metric=metric, view=view, ids=ids).body
                for board in boards
            ]
            direct = tile(timeline, metric, view, level, 0, 0, 0)
            for body in bodies:
                assert len(body) == TILE_BYTES
                # Bytes 20 to 24 are the revision, which is each server's own.
                assert (body[:20], body[24:]) == (direct[:20], direct[24:])


@pytest.mark.parametrize("name", ["archived", "overview"])
def test_what_happened_at_one_step_shows_at_every_level_in_both(boards: list[Board], name: str) -> None:
    for board in boards:
        meta = board.get("meta", run=f"{name}/gradhealth").json
        node = meta["nodes"]["name"].index(NAMES[2])
        for level in range(meta["levels"]):
            width = meta["cell"] << level
            at = 5050 // width
            tile_id = f"{level}.0.{at // 512}"
            shown = board.tile(f"{name}/gradhealth", "norm", "max", tile_id)
            assert shown.values[node, at % 512] > 1e9
            bad = board.tile(f"{name}/gradhealth", "norm", "max", f"{level}.0.{4321 // width // 512}")
            assert bad.flags[0, 4321 // width % 512] & 1
            worst = board.tile(f"{name}/gradhealth", "norm", "worst", tile_id)
            assert worst.values[0, at % 512] == shown.values[node, at % 512]
