"""Notes, rewinds, other names and a second stream, as the routes tell them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..synthetic import SESSION
from . import noted
from .board import Board

RUN = "noted/gradhealth"


@pytest.fixture(scope="module", params=["true", "false"], ids=["rust", "python"])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    logdir = tmp_path_factory.mktemp("noted")
    write(logdir)
    board = Board(logdir, request.param)
    board.wait(all_read)
    return board


def write(logdir: Path) -> None:
    noted.write(logdir / "noted")


def all_read(board: Board) -> bool:
    answer = board.get("meta", run=RUN)
    whole = answer.status == 200 and answer.json["steps"] == [0, noted.END] and len(answer.json["streams"]) == 2
    last = board.tile(RUN, "norm", "max", "0.0.0", "unclipped").values[0, 149] if whole else 0
    return bool(last > 0)


def notes(board: Board, begin: int = 0, end: int = 10_000, stream: str = "gradients") -> Any:
    return board.get("notes", run=RUN, stream=stream, begin=begin, end=end).json


def test_notes_are_told_as_the_contract_says_and_those_that_were_undone_are_not(board: Board) -> None:
    answer = notes(board)
    assert [(note["step"], note["kind"]) for note in answer["notes"]] == [(n.step, n.kind) for n in noted.NOTES]
    assert answer["complete"] is True
    assert answer["notes"][1] == {
        "step": 120,
        "kind": "skipped",
        "tensors": [
            {"name": "blocks.0.attn.weight", "nan": 3, "pos_inf": 1, "neg_inf": 0},
            {"name": "blocks.0.norm", "nan": 0, "pos_inf": 0, "neg_inf": 2},
        ],
        "more": 12,
        "values": {"loss_scale": 65536.0},
    }
    assert answer["notes"][0]["values"] == {"norm": 3.2}


def test_a_range_of_notes(board: Board) -> None:
    assert [note["step"] for note in notes(board, 120, 302)["notes"]] == [120, 300, 301]
    assert notes(board, 121, 300) == {"notes": [], "complete": True}
    assert notes(board, 300, 0) == {"notes": [], "complete": True}
    assert notes(board, stream="unclipped") == {"notes": [], "complete": True}


def test_no_more_than_a_page_of_notes(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradhealth.plugin.routes.MAX_NOTES", 5)
    answer = notes(board)
    assert ([note["step"] for note in answer["notes"]], answer["complete"]) == ([88, 120, 300, 301, 302], False)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"begin": 0}, "end: expected a value"),
        ({"begin": -1, "end": 3}, "begin: expected a whole number"),
        ({"begin": 0, "end": 2**62 + 1}, "end: expected a whole number"),
        ({"begin": 0, "end": "1e3"}, "end: expected a whole number"),
    ],
)
def test_bad_ranges_are_refused_in_words(board: Board, query: dict[str, Any], says: str) -> None:
    answer = board.get("notes", run=RUN, stream="gradients", **query)
    assert (answer.status, says in answer.json["error"]) == (400, True)


def test_meta_tells_a_rewind_from_a_resume_and_has_the_other_names(board: Board) -> None:
    meta = board.get("meta", run=RUN).json
    spans = [(session["id"], session["start"], session["stop"]) for session in meta["sessions"]]
    assert spans == [
        (SESSION, 0, noted.FIRST_STEPS),
        (noted.SECOND, noted.REWOUND_TO, noted.RESUMED_AT),
        (noted.THIRD, noted.RESUMED_AT, noted.END),
    ]
    names, aliases = meta["nodes"]["name"], meta["nodes"]["aliases"]
    assert {name: own for name, own in zip(names, aliases, strict=True) if own} == {noted.TIED: [noted.ALIAS]}


def test_two_streams_are_told_apart_by_their_own_labels(board: Board) -> None:
    meta = board.get("meta", run=RUN).json
    assert [(one["name"], one["label"]) for one in meta["streams"]] == list(noted.STREAMS.items())
    applied, before = (board.tile(RUN, "norm", "max", "0.0.0", stream).values[:11, :150] for stream in noted.STREAMS)
    assert before == pytest.approx(applied * noted.CLIPPED, rel=0.02)
    cells = [board.get("cell", run=RUN, stream=s, node=3, level=0, index=7).json for s in noted.STREAMS]
    norms = [cell["metrics"]["norm"]["mean"] for cell in cells]
    assert norms[1] == pytest.approx(noted.CLIPPED * norms[0], rel=0.01)
