"""Ranks that do not fit together: one clear warning, and training neither stops nor waits for long."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.writer.loops import timeline

from .compare import check_rows, check_whole
from .launch import logs
from .oracle import Oracle, load
from .record import Report
from .troubles import PATIENCE, STEPS, TROUBLES

Troubled = Callable[[str], tuple[Path, list[int]]]

NAMES = [kind.__name__ for kind in TROUBLES]
#: What all waiting together may cost a training, the ends of both processes included.
AT_MOST = 2 * PATIENCE + 15


def reports(troubled: Troubled, name: str) -> list[Report]:
    """Of the ranks that lived to the end."""
    directory, codes = troubled(name)
    assert codes == {"Died": [0, 1], "WriterDied": [1, 0]}.get(name, [0, 0]), logs(directory)
    return [Report.load(directory, rank) for rank, code in enumerate(codes) if code == 0]


def rows_and_oracle(troubled: Troubled, name: str) -> tuple[dict, Oracle]:
    directory, _ = troubled(name)
    return load(directory / "0.npz"), Oracle(directory)


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_to_its_end(name: str, troubled: Troubled) -> None:
    found = reports(troubled, name)
    expected = [STEPS, STEPS - 4 if name == "FewerSteps" else STEPS]
    assert [report.steps for report in found] == expected[: len(found)]
    assert max(report.seconds for report in found) < AT_MOST


# Alone, rank 1 cannot know that it is the lowest once rank 0 has gone and taken the store with it.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "OnlyRank1"])
def test_what_is_in_the_file_is_readable(name: str, troubled: Troubled) -> None:
    reports(troubled, name)
    directory, _ = troubled(name)
    assert timeline(directory / "run").end > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("OnlyRank1", "ClosedEarly", "WriterDied")])
def test_what_rank_0_recorded_is_right(name: str, troubled: Troubled) -> None:
    reports(troubled, name)
    rows, oracle = rows_and_oracle(troubled, name)
    check_rows(rows, oracle)
    assert rows["start"][0] == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("OnlyRank1", "Died", "WriterDied")])
def test_rank_0_alone_writes(name: str, troubled: Troubled) -> None:
    rank_0, rank_1 = reports(troubled, name)
    assert rank_0.rows > 0
    assert rank_1.rows == 0


@pytest.mark.parametrize(
    "name",
    [
        "OtherShape",
        "OtherLayoutLater",
        "OtherStart",
        "FewerSteps",
        "OnlyRank0",
        "OnlyRank1",
        "ClosedEarly",
        "Died",
        "WriterDied",
    ],
)
def test_one_clear_warning(name: str, troubled: Troubled) -> None:
    found = reports(troubled, name)
    texts = [text for report in found for text in report.warnings]
    assert texts
    for text in texts:
        assert re.search(r"\brank|\bprocess", text), text
    for report in found:
        assert len(report.warnings) <= 1
        assert (report.problems > 0) == bool(report.warnings)


@pytest.mark.parametrize(
    ("name", "every"), [("DestroyedBeforeClose", 5), ("DestroyedMeanwhile", 1), ("Unclosed", 5), ("OnlyRank0", 1)]
)
def test_either_all_is_written_or_it_is_warned_about(name: str, every: int, troubled: Troubled) -> None:
    found = reports(troubled, name)
    assert all(len(report.warnings) <= 1 for report in found)
    # One rank that is alone from the beginning misses nothing.
    if name == "OnlyRank0" or not any(report.warnings for report in found):
        check_whole(rows_and_oracle(troubled, name)[0], STEPS, every)


@pytest.mark.parametrize(
    ("name", "every", "step", "tensor"), [("Diverged", 5, 7, "head.weight"), ("DivergedDTensor", 1, 4, "down.bias")]
)
def test_replicas_that_diverge_are_named_with_the_step(
    name: str, every: int, step: int, tensor: str, troubled: Troubled
) -> None:
    reports(troubled, name)
    directory, _ = troubled(name)
    check_whole(rows_and_oracle(troubled, name)[0], STEPS, every)
    notes, complete = timeline(directory / "run").notes(0, 10**9, 1000)
    assert complete
    found = [(note.step, note.kind, [fault.name for fault in note.tensors]) for note in notes]
    assert found == [(step, "diverged", [tensor])]
