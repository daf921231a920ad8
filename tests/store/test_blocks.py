"""What became of an attempt, and the words for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradhealth_kernels.metrics import METRICS
from tb_gradhealth import nodes
from tb_gradhealth.notes import MAX_TENSORS, Fault, Note
from tb_gradhealth.store.blocks import Attempt, Block, Ready, notes_of
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.scalars import Scalar

from ..synthetic import gradients, measured, recorded


def elements(steps: int = 4, tensors: int = 3) -> np.ndarray:
    return gradients(steps, tensors)


def told(block: Block, tensors: int = 3) -> list[Note]:
    return notes_of(block, *block.read(), [f"t{i}" for i in range(tensors)])


def test_a_skipped_attempt_names_its_own_tensors_alone() -> None:
    values = elements()
    values[2, 0, 0], values[2, 2, :2] = np.nan, [np.inf, -np.inf]
    attempts = [
        Attempt(11, "step", 8.0, np.arange(3)),
        Attempt(12, "skipped", lambda: 4.0, np.array([1, 2])),
    ]
    (note,) = told(Block(10, Ready(measured(values)), attempts=attempts))
    assert note == Note(12, "skipped", (Fault("t2", 0, 1, 1),), 0, {"loss_scale": 4.0})


@pytest.mark.parametrize(("found_inf", "kinds"), [(0.0, []), (1.0, ["skipped"]), (2.0, ["skipped"])])
def test_an_optimizer_that_skips_by_itself_tells_by_a_number(found_inf: float, kinds: list[str]) -> None:
    attempt = Attempt(0, "step", 1.0, np.arange(3), lambda: found_inf)
    assert [note.kind for note in told(Block(0, Ready(recorded(1, 3)), attempts=[attempt]))] == kinds


def test_more_tensors_than_a_note_names_are_counted() -> None:
    values = elements(1, MAX_TENSORS + 5)
    values[0, :, 0] = np.nan
    (note,) = told(Block(0, Ready(measured(values)), dropped=True), MAX_TENSORS + 5)
    assert (len(note.tensors), note.more) == (MAX_TENSORS, 5)


def test_dropped_gradients_have_a_norm_and_zeros_are_not_worth_a_note() -> None:
    values = elements(1)
    (note,) = told(Block(7, Ready(measured(values)), dropped=True))
    assert (note.step, note.kind) == (7, "not_stepped")
    assert note.values["norm"] == pytest.approx(math.hypot(*values.ravel()), rel=1e-12)
    assert told(Block(7, Ready(measured(0 * values)), dropped=True)) == []
    assert told(Block(7, Ready(measured(np.full((1, 3, 6), np.nan))), dropped=True))[0].values == {}


def test_notes_go_with_the_row_of_their_step_and_the_last_ones_with_its_end() -> None:
    builder = RowBuilder(nodes.build(["t0", "t1", "t2"]), METRICS, 4)
    values = elements(7)
    values[3, 1, 0] = np.nan
    dropped = Block(0, Ready(measured(values[:1])), dropped=True)
    (row,) = [
        *builder.add(dropped),
        *builder.add(Block(0, Ready(measured(values[:4])), attempts=[Attempt(3, "skipped", 2.0, np.arange(3))])),
    ]
    assert [(note.step, note.kind) for note in row.notes] == [(0, "not_stepped"), (3, "skipped")]
    assert row.scalars == {"loss_scale": Scalar(1, 2.0, 2.0, 2.0)}
    assert builder.add(Block(4, Ready(measured(values[4:])))) == []
    assert builder.add(Block(7, Ready(measured(values[:1])), dropped=True)) == []
    (row,) = builder.cut()
    assert int(row.rows.stop[0]) == 7
    assert [(note.step, note.kind) for note in row.notes] == [(7, "not_stepped")]
