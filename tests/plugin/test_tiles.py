"""Tiles hold what was recorded, in the bytes of ``http_api.md``."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradhealth_kernels import metrics
from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import Entries, merge

from ..synthetic import NAMES
from .board import TILE_BYTES, Board, tiles
from .logs import LONG_ROWS, PLANTED, good

RUN = "good/gradhealth"
#: Of bf16, which has 8 bits, and of the code in the file.
TOLERANCE = {"magnitude": 2**-8 + 0.0018, "fraction": 2**-8 + 0.0005, "signed": 2**-8, "count": 2**-8}


def entries() -> Entries:
    """``[step, node]`` of the good run."""
    recording = good()
    tree = recording.tree
    return merge(recording.entries[:, tree.leaf_order], tree.start, tree.stop)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("level", [0, 2])
def test_each_view_is_what_the_steps_say(board: Board, metric: metrics.Metric, level: int) -> None:
    width = 10 << level
    per_step = metrics.compute(entries(), [metric])[0]
    shown = {view: board.tile(RUN, metric.name, view, f"{level}.0.0") for view in ("max", "mean", "min")}
    for view, tile in shown.items():
        assert (tile.folded, tile.level, tile.r, tile.c) == (metric.kind == "fraction", level, 0, 0)
        assert (tile.rows, tile.columns) == (per_step.shape[1], math.ceil(237 / width))
        for node in range(tile.rows):
            for cell in range(tile.columns):
                values = per_step[cell * width : (cell + 1) * width, node]
                values = values[~np.isnan(values)]
                expected = float(getattr(np, view)(values)) if len(values) else math.nan
                scale = min(abs(expected), 1 - expected) if metric.kind == "fraction" else abs(expected)
                got = tile.values[node, cell]
                assert got == pytest.approx(expected, rel=0, abs=TOLERANCE[metric.kind] * scale, nan_ok=True)
        assert np.isnan(tile.values[tile.rows :]).all()
        assert np.isnan(tile.values[:, tile.columns :]).all()
        assert not tile.flags[tile.rows :].any()
        assert not tile.flags[:, tile.columns :].any()


def test_worst_is_the_largest_of_the_tensors_inside(board: Board) -> None:
    own, worst = (board.tile(RUN, "norm", view, "0.0.0").values[: len(good().tree)] for view in ("max", "worst"))
    tree = good().tree
    for node in range(len(tree)):
        inside = [leaf for leaf in tree.leaf_nodes if tree.start[node] <= tree.start[leaf] < tree.stop[node]]
        assert np.array_equal(worst[node], np.fmax.reduce(own[inside], axis=0), equal_nan=True)


def test_flags_say_what_is_bad_missing_or_unfinished(board: Board) -> None:
    tree = good().tree
    tile = board.tile(RUN, "norm", "max", "0.0.0")
    expected = np.zeros((len(tree), 24), np.uint8)

    def mark(tensor: int, cell: int, bit: int, inside_modules: bool = True) -> None:
        (leaf,) = np.flatnonzero(tree.leaf_order == tensor)
        for node in range(len(tree)):
            if tree.start[node] <= leaf < tree.stop[node] and (inside_modules or tree.kinds[node] == "tensor"):
                expected[node, cell] |= bit

    mark(1, 12, 1)
    mark(3, 5, 2)
    mark(3, 5, 4)
    mark(2, 3, 8, inside_modules=False)  # the modules around it had other gradients
    expected[:, 23] |= 16
    assert np.array_equal(tile.flags[: len(tree), :24], expected)
    assert np.array_equal(board.tile(RUN, "norm", "worst", "0.0.0").flags, tile.flags)


def test_998_of_1000_and_all_are_told_apart(board: Board) -> None:
    """The last tensor has 4 zeros of 6, blocks.0 none: folded values, and the sign of 0."""
    tree = good().tree
    tile = board.tile(RUN, "zero_fraction", "max", "0.0.0")
    assert tile.folded
    assert tile.values[tree.names.index("head.weight"), 0] == pytest.approx(4 / 6, abs=2**-8 / 3)
    assert tile.values[tree.names.index("blocks.0"), 0] == 0


def test_all_1500_rows_of_a_long_run_are_there_and_the_planted_step_shows_at_every_level(board: Board) -> None:
    found = 0
    for level, columns in ((0, 3), (1, 2), (2, 1)):
        width = 1 << level
        hits = set()
        for column in range(columns):
            tile = board.tile("long/gradhealth", "norm", "max", f"{level}.0.{column}")
            found += tile.columns if level == 0 else 0
            assert np.isfinite(tile.values[: tile.rows, : tile.columns]).all()
            hits |= {(int(row), int(cell) + 512 * column) for row, cell in np.argwhere(tile.values > 1e5)}
        assert hits == {(0, PLANTED // width), (2, PLANTED // width)}
    assert found == LONG_ROWS


def test_several_tiles_come_in_the_order_asked_for_and_beyond_the_edge_they_are_empty(board: Board) -> None:
    ids = ["0.0.2", "2.0.0", "0.7.0", "0.0.9", "0.0.0", "0.0.999999999", "62.0.0"]
    query = {"run": "long/gradhealth", "stream": "gradients", "metric": "norm", "view": "max"}
    answer = board.get("tiles", **query, ids=",".join(ids))
    assert len(answer.body) == len(ids) * TILE_BYTES
    found = tiles(answer.body)
    assert [f"{tile.level}.{tile.r}.{tile.c}" for tile in found] == ids
    assert [tile.rows for tile in found] == [3, 3, 0, 3, 3, 3, 3]
    assert [tile.columns for tile in found] == [476, 375, 512, 0, 512, 0, 1]
    for empty in (found[2], found[3], found[5]):
        assert np.isnan(empty.values).all()
        assert not empty.flags.any()
    revision = board.get("meta", run="long/gradhealth").json["revision"]
    assert {tile.revision for tile in found} == {revision}


def test_bodies_are_gzipped_for_those_who_take_it_and_plain_for_the_others(board: Board) -> None:
    query = {"run": RUN, "stream": "gradients", "metric": "norm", "view": "max", "ids": "0.0.0"}
    packed, plain = (board.get("tiles", accept=accept, **query) for accept in ("gzip", "identity"))
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < TILE_BYTES / 10
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"] == "application/octet-stream"
    assert packed.body == plain.body
    assert len(plain.body) == TILE_BYTES


def test_tensors_are_named_as_in_meta(board: Board) -> None:
    names = board.get("meta", run=RUN).json["nodes"]["name"]
    norms = metrics.compute(entries(), metrics.select(["norm"]))[0]
    values = board.tile(RUN, "norm", "max", "0.0.0").values[: len(names), 0]
    largest = {name: norms[:10, good().tree.names.index(name)].max() for name in NAMES}
    assert all(values[names.index(name)] == pytest.approx(norm, rel=0.006) for name, norm in largest.items())
