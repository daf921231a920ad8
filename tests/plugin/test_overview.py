"""The overview: norms of all streams, what was logged by kind, and skipped steps, as the training had them."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradhealth_kernels import metrics
from gradhealth_kernels.statistics import merge
from tb_gradhealth.notes import Note
from tb_gradhealth.plugin import overview as module
from tb_gradhealth.plugin.logged import MAX_NAMES, Curves, kind
from tb_gradhealth.store.blocks import Block
from tb_gradhealth.store.cells import Grid, RowSpan
from tb_gradhealth.store.scalars import Scalar

from ..synthetic import Recording, history, recorded
from .board import Board
from .noted import CLIPPED, Noted, scaled

STEPS, EVERY = 3000, 10
RUN = {"run": "whole/gradhealth"}
#: First steps of blocks, at which the loop logs: before every seventh step and every tenth.
LOGGED_AT = [step for step in range(STEPS) if step % 7 == 0 or step % EVERY == 0]
UNMADE = [Note(step, "skipped") for step in (3, 4, 5, 777, 2999)] + [Note(1200, "not_stepped"), Note(STEPS, "skipped")]
HOSTILE = ("<img src=x onerror=alert(1)>", "__proto__", "a\nb", "x" * 3000)
NAN_LOSS_AT = 1400
FLOOD = "https://tb.invalid/"


def value(name: str, step: int) -> float:
    if name == "train/loss":
        return math.nan if step == NAN_LOSS_AT else 5.0 + math.sin(step)
    return 1e-3 / (1 + step)


def scalars(step: int) -> list[tuple[str, Any]]:
    found = [(name, value(name, step)) for name in ("lr-Adam", "train/loss", "accuracy")]
    if step == 70:  # later than those above
        found += [(name, 1.0) for name in HOSTILE] + [(f"{FLOOD}{number}", 1.0) for number in range(100)]
    return found


class Ended(Noted):
    """What came after the last step is of the last block."""

    def blocks(self) -> list[Block]:
        blocks = super().blocks()
        blocks[-1].notes = [*blocks[-1].notes, *(note for note in self.notes if note.step == STEPS)]
        return blocks


def run() -> Noted:
    logged = {step: scalars(step) for step in LOGGED_AT}
    return Ended(recorded(STEPS), logged=logged, notes=sorted(UNMADE, key=lambda note: note.step))


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("overview")
    applied = run()
    applied.write(logdir / "whole" / "gradhealth")
    before = applied.again(
        entries=scaled(applied.entries, CLIPPED), stream="unclipped", notes=[Note(9, "skipped")], logged={}
    )
    before.write(logdir / "whole" / "gradhealth").rename(logdir / "whole" / "gradhealth" / "events.out.tfevents.9.two")
    Recording(recorded(50), chosen=metrics.select(["rms"])).write(logdir / "bare" / "gradhealth")
    return logdir


@pytest.fixture(scope="module", params=["true", "false"], ids=["rust", "python"])
def board(request: pytest.FixtureRequest, logdir: Path) -> Board:
    board = Board(logdir, request.param)
    board.wait(lambda b: _read(b))
    return board


def _read(board: Board) -> bool:
    metas = [board.get("meta", run=f"{name}/gradhealth") for name in ("whole", "bare")]
    if not all(meta.status == 200 for meta in metas):
        return False
    whole, bare = (meta.json for meta in metas)
    if (whole["steps"], bare["steps"], len(whole["streams"])) != ([0, STEPS], [0, 50], 2):
        return False
    return bool(board.tile(RUN["run"], "norm", "max", "0.0.0", "unclipped").values[0, (STEPS - 1) // EVERY] > 0)


@functools.cache
def norms() -> Any:
    """``[step]`` of the whole stream."""
    recording = run()
    tree = recording.tree
    entries = merge(recording.entries[:, tree.leaf_order], tree.start, tree.stop)
    return metrics.compute(entries, metrics.select(["norm"]))[0, :, 0]


@pytest.mark.parametrize(
    ("begin", "end", "cells", "edges"),
    [
        (0, STEPS, 2048, range(0, STEPS + 1, 10)),
        (0, STEPS, 100, range(0, STEPS + 1, 30)),
        (65, 2001, 50, range(60, 2041, 40)),
    ],
)
def test_norms_losses_and_rates_in_cells(board: Board, begin: int, end: int, cells: int, edges: range) -> None:
    answer = board.get("overview", **RUN, begin=begin, end=end, cells=cells).json
    assert answer["edges"] == list(edges)
    series = {(one["kind"], one["name"]): one for one in answer["series"]}
    kinds = [one["kind"] for one in answer["series"]]
    assert kinds == sorted(kinds, key=["norm", "loss", "rate", "other"].index)
    norm = norms()
    for stream, label, factor in (
        ("gradients", "Gradient norm (applied)", 1.0),
        ("unclipped", "Gradient norm (before clipping)", CLIPPED),
    ):
        one = series["norm", stream]
        assert one["label"] == label
        for cell in range(len(edges) - 1):
            inside = factor * norm[edges[cell] : edges[cell + 1]]
            got = [one[view][cell] for view in ("mean", "min", "max")]
            assert got == pytest.approx([inside.mean(), inside.min(), inside.max()], rel=0.002)
    for shown, name in (("loss", "train/loss"), ("rate", "lr-Adam"), ("other", "accuracy")):
        one = series[shown, name]
        for cell in range(len(edges) - 1):
            inside = [value(name, step) for step in LOGGED_AT if edges[cell] <= step < edges[cell + 1]]
            mean = None if any(map(math.isnan, inside)) else pytest.approx(np.mean(inside))
            assert (one["mean"][cell], one["min"][cell], one["max"][cell]) == (
                mean,
                np.nanmin(inside),
                np.nanmax(inside),
            )


def test_skipped_steps_are_counted_where_they_were(board: Board) -> None:
    answer = board.get("overview", **RUN, begin=0, end=STEPS, cells=300).json
    wanted = np.zeros(300, int)
    for note in UNMADE:
        wanted[min(note.step, STEPS - 1) // EVERY] += 1
    assert answer["skipped"] == wanted.tolist()
    part = board.get("overview", **RUN, begin=4, end=777, cells=2048).json
    assert (part["edges"][0], part["edges"][-1], sum(part["skipped"])) == (0, 780, 4), "of whole cells"


def test_a_loop_that_invents_names_does_not_flood_the_answer(board: Board) -> None:
    series = board.get("overview", **RUN, begin=0, end=STEPS, cells=10).json["series"]
    others = [one["name"] for one in series if one["kind"] == "other"]
    cut = ["x" * 1024 if name.startswith("x") else name for name in HOSTILE]
    assert others == ["accuracy", *cut, *(f"{FLOOD}{number}" for number in range(MAX_NAMES - 1 - len(HOSTILE)))]
    rows = board.get("rows", **RUN, stream="gradients", node=0, begin=70, end=71).json["rows"]
    assert list(rows[0]["logged"]) == ["train/loss", "lr-Adam", *others]


def test_a_mean_that_is_not_a_number_is_told_in_rows(board: Board) -> None:
    rows = board.get("rows", **RUN, stream="gradients", node=0, begin=NAN_LOSS_AT, end=NAN_LOSS_AT + 1).json["rows"]
    assert rows[0]["logged"]["train/loss"]["mean"] == "NaN"


def test_a_run_without_norms_and_logged_values(board: Board) -> None:
    answer = board.get("overview", run="bare/gradhealth", begin=0, end=50, cells=5).json
    assert answer == {"edges": [0, 10, 20, 30, 40, 50], "series": [], "skipped": [0] * 5}


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"run": "nope", "begin": 0, "end": 9, "cells": 9}, 404, "no run of that name"),
        ({**RUN, "begin": 0, "end": 9, "cells": 0}, 400, "cells: expected a whole number from 1 to 2048"),
        ({**RUN, "begin": 0, "end": 9, "cells": 5000}, 400, "cells: expected a whole number from 1 to 2048"),
        ({**RUN, "begin": 9, "end": 0, "cells": 5}, 400, "begin < end, got [9, 0)"),
        ({**RUN, "begin": STEPS, "end": STEPS + 1, "cells": 5}, 400, f"expected steps of [0, {STEPS})"),
    ],
)
def test_wrong_arguments_are_told(board: Board, query: dict[str, Any], status: int, says: str) -> None:
    answer = board.get("overview", **query)
    assert (answer.status, says in answer.json["error"]) == (status, True)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        *((name, "loss") for name in ("loss", "Loss", "train/loss", "val_loss", "Loss/train", "trainLoss", "lr_loss")),
        *((name, "rate") for name in ("lr", "LR", "lr-Adam", "train/lr", "lr/encoder", "learning_rate", "base_lr")),
        *((name, "rate") for name in ("Learning Rate", "train/learning-rate", "lr_0", "optimizer.lr")),
        *((name, "other") for name in ("", "accuracy", "lossy", "losses", "lrs", "slr", "flops", "all_reduce")),
    ],
)
def test_kinds_by_name(name: str, wanted: str) -> None:
    assert kind(name) == wanted


@pytest.mark.parametrize("count", [1, 2**63, 2**64 - 1])
def test_a_count_may_be_any_that_a_file_can_hold(count: int) -> None:
    curves = Curves(Grid(0, 10, 2))
    for step in (0, 5):
        curves.add(step, step + 5, {"loss": Scalar(count, 3.0 * count, 2.0, 4.0)})
    ((_, _, curve),) = curves.items()
    assert (curve.mean[0], curve.min[0], curve.max[0]) == (pytest.approx(3.0), 2.0, 4.0)


def test_the_scalars_of_few_rows_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = {step: [("loss", float(step))] for step in range(0, 500, EVERY)}
    timeline, rows, scalars = history(Recording(recorded(500), logged=logged)), list[int](), module._scalars

    def counted(span: RowSpan) -> list[tuple[int, int, dict[str, Scalar]]]:
        rows.append(len(span))
        return scalars(span)

    monkeypatch.setattr(module, "_scalars", counted)
    ((_, _, loss),) = module.logged(timeline, timeline.fitting(0, 500, 50)).items()
    assert loss.mean.tolist() == [float(step) for step in logged]
    assert (sum(rows), max(rows)) == (50, module.ROWS_AT_ONCE)
