"""The CSV file: every line as the steps say, names that neither break it nor act in a spreadsheet, and its bounds."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradhealth_kernels import metrics
from gradhealth_kernels.statistics import Entries, merge
from tb_gradhealth.plugin import table

from ..synthetic import Recording, history, recorded
from .board import Answer, Board

#: What spreadsheets take for formulas, what CSV must quote, what breaks lines, and what is no text.
NAMES = ("=1+1", "+x", "-x", "@SUM(A1)", 'say "hi", you', "a\r\nb", "\tx", "é.日本", "plain", "mod.=inside")
SHOWN = ("'=1+1", "'+x", "'-x", "'@SUM(A1)", 'say "hi", you', "a\\r\\nb", "'\\tx", "é", "é.日本", "plain", "mod")
STEPS, EVERY = 95, 10
RUN = {"run": 'a; b="1"/gradhealth', "stream": "gradients"}
VIEW = {**RUN, "metric": "norm", "view": "max", "begin": 0, "end": STEPS, "cells": 100}


def recording() -> Recording:
    entries = recorded(STEPS, len(NAMES))
    entries["nan"][12, 8] = 1
    entries[40:50, 0] = 0
    return Recording(entries, names=NAMES)


@pytest.fixture(scope="module", params=["true", "false"], ids=["rust", "python"])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    logdir = tmp_path_factory.mktemp("export")
    recording().write(logdir / Path(RUN["run"]))
    board = Board(logdir, request.param)
    board.wait(lambda b: b.get("meta", run=RUN["run"]).status == 200 and _end(b) == STEPS)
    return board


def _end(board: Board) -> int:
    return int(board.get("meta", run=RUN["run"]).json["steps"][1])


def lines(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline=""), strict=True))


def of_nodes() -> Entries:
    """``[step, node]``."""
    one = recording()
    return merge(one.entries[:, one.tree.leaf_order], one.tree.start, one.tree.stop)


def test_each_line_is_what_the_steps_say(board: Board) -> None:
    answer = board.get("export.csv", **VIEW)
    found = lines(answer)
    entries = of_nodes()
    norms = metrics.compute(entries, metrics.select(["norm"]))[0]
    edges = [*range(0, STEPS, EVERY), 100]
    assert len(found) == len(recording().tree) * (len(edges) - 1)
    at = iter(found)
    for node in range(len(recording().tree)):
        for begin, end in itertools.pairwise(edges):
            line = next(at)
            assert list(line) == ["node", "begin", "end", "value", "flags"]
            assert (int(line["begin"]), int(line["end"])) == (begin, end)
            values, inside = norms[begin:end, node], entries[begin:end, node]
            if np.isnan(values).all():
                assert line["value"] == ""
            else:
                assert float(line["value"]) == pytest.approx(np.nanmax(values), rel=0.0018)
            flags = 1 * (inside["nan"] > 0).any() + 8 * (inside["count"] == 0).any() + 16 * (end > STEPS)
            assert int(line["flags"]) == flags
    assert answer.body.endswith(b"\r\n")
    assert b"\n" not in answer.body.replace(b"\r\n", b"")


def test_names_break_nothing_and_do_nothing(board: Board) -> None:
    names = list(dict.fromkeys(line["node"] for line in lines(board.get("export.csv", **VIEW))))
    assert set(names) == {"", *SHOWN, "mod.=inside"}
    assert not any(name.startswith(tuple("=+-@\t\r")) for name in names)


def test_some_nodes_in_the_order_asked_for(board: Board) -> None:
    tree = recording().tree
    nodes = [tree.names.index(name) for name in ("plain", "=1+1")]
    query = {**VIEW, "nodes": ",".join(map(str, nodes)), "begin": 20, "end": 60, "cells": 2}
    found = lines(board.get("export.csv", **query))
    assert [(line["node"], line["begin"], line["end"]) for line in found] == [
        ("plain", "20", "40"),
        ("plain", "40", "60"),
        ("'=1+1", "20", "40"),
        ("'=1+1", "40", "60"),
    ]


def test_it_comes_as_a_file_with_a_harmless_name(board: Board) -> None:
    headers = board.get("export.csv", **VIEW).headers
    assert headers["Content-Disposition"] == 'attachment; filename="a_b_1-norm-max.csv"'
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (".", "run-norm-max.csv"),
        ("../../etc/passwd", "etc_passwd-norm-max.csv"),
        ('x"\r\nSet-Cookie: y', "x_Set-Cookie_y-norm-max.csv"),
        ("日本", "run-norm-max.csv"),
        ("r" * 300, f"{'r' * 60}-norm-max.csv"),
    ],
)
def test_file_names(run: str, name: str) -> None:
    assert table.file_name(run, "norm", "max") == name


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"nodes": "99"}, 400, "nodes: expected a whole number from 0 to"),
        ({"nodes": ""}, 400, "nodes: expected a value"),
        ({"cells": 0}, 400, "cells: expected a whole number from 1 to 4000000"),
        ({"cells": 4_000_001}, 400, "cells: expected a whole number from 1 to 4000000"),
        ({"begin": 95, "end": 96}, 400, "which the run has"),
        ({"metric": "x"}, 400, "metric: expected one of"),
        ({"run": "nope"}, 404, "no run of that name"),
    ],
)
def test_wrong_arguments_are_told(board: Board, query: dict[str, Any], status: int, says: str) -> None:
    answer = board.get("export.csv", **{**VIEW, **query})
    assert (answer.status, says in answer.json["error"]) == (status, True)


def test_more_than_a_file_may_hold_is_refused_with_what_to_do(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = len(recording().tree)
    monkeypatch.setattr(table, "MAX_VALUES", nodes * 10 - 1)
    answer = board.get("export.csv", **{**VIEW, "cells": 50})
    says = f"{nodes} nodes in 10 cells are more than {nodes * 10 - 1} values: ask for fewer nodes or cells"
    assert (answer.status, says in answer.json["error"]) == (400, True)
    assert board.get("export.csv", **{**VIEW, "cells": 9}).status == 200, "in cells of two rows"


@pytest.mark.parametrize("piece", [1, 300, 1 << 18])
def test_pieces_together_are_the_file(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(table, "PIECE", piece)
    monkeypatch.setattr(table, "AT_ONCE", 3)
    timeline = history(recording())
    pieces = list(table.lines(timeline, "norm", "worst", None, 0, STEPS, 100))
    nodes = len(timeline.tree)
    assert len(pieces) == (nodes * 4 + 1 if piece == 1 else len(pieces))
    text = b"".join(pieces).decode()
    assert len(list(csv.reader(io.StringIO(text, newline=""), strict=True))) == 1 + nodes * 10
    worst = timeline.worst("norm", np.arange(nodes), timeline.fitting(0, STEPS, 100))
    values = [line.rsplit(",", 2)[1] for line in text.split("\r\n")[1:-1]]
    assert [float(value or "nan") for value in values] == pytest.approx(worst.ravel().tolist(), nan_ok=True)


def test_a_long_name_makes_no_large_piece() -> None:
    name, steps = "x" * 20_000, 500
    timeline = history(Recording(recorded(steps, 1), names=(name,), every=1, block=1, chosen=metrics.select(["norm"])))
    pieces = list(table.lines(timeline, "norm", "max", None, 0, steps, steps))
    assert max(map(len, pieces)) <= table.NAMES_AT_ONCE + table.PIECE + len(name)
    assert b"".join(pieces).count(name.encode()) == steps


def test_a_name_is_made_harmless_once_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, harmless = list[str](), table.harmless
    monkeypatch.setattr(table, "harmless", lambda name: (seen.append(name), harmless(name))[1])
    lines = list(table.lines(history(recording()), "norm", "max", np.array([2, 1, 2, 2]), 0, STEPS, 1))
    assert len(seen) == 2
    assert b"".join(lines).count(b"\r\n") == 1 + 4


def test_of_many_cells_few_are_in_writing_at_once() -> None:
    taken = list[int]()

    class Watched(np.ndarray[Any, Any]):
        def tolist(self) -> Any:
            taken.append(len(self))
            return super().tolist()

    cells = 3 * table.AT_ONCE + 5
    edges, values, flags = np.arange(cells + 1), np.arange(2.0 * cells).reshape(2, -1), np.zeros((2, cells), np.uint8)
    text = b"".join(table._pieces(["w", "x"], edges.view(Watched), values, flags)).decode()
    wanted = [(node, begin, begin + 1, values[row, begin]) for row, node in enumerate("wx") for begin in range(cells)]
    assert text.split("\r\n")[1:-1] == [f"{node},{begin},{end},{value},0" for node, begin, end, value in wanted]
    assert taken == [table.AT_ONCE + 1] * 3 + [6], "each once, for both nodes"


def test_the_worst_of_too_many_tensors_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline, tensors = history(recording()), len(NAMES)
    ask = (timeline, "norm", "worst", np.array([0]), 0, STEPS, 100)
    monkeypatch.setattr(table, "MAX_INSIDE", tensors * 10)
    assert len(b"".join(table.lines(*ask)).split(b"\r\n")) == 1 + 10 + 1
    monkeypatch.setattr(table, "MAX_INSIDE", tensors * 10 - 1)
    says = f"{tensors} tensors in 10 cells are more than {tensors * 10 - 1} values .*: ask for fewer cells"
    with pytest.raises(table.TooLarge, match=says):
        table.lines(*ask)
    assert list(table.lines(timeline, "norm", "max", *ask[3:]))
