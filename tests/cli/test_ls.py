"""``gradhealth ls``."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from tb_gradhealth.cli.command import main
from tests.planted import STEPS, planted, written
from tests.synthetic import NAMES

from .conftest import gradhealth


def listed(root: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert main(["ls", str(root), "--json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def sizes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second, first = listed(runs, capsys)
    archive = sizes(runs / "exp1" / "gradhealth" / "gradhealth_archive")
    assert {**first, "written": None} == {
        "label": "exp1",
        "path": str(runs / "exp1" / "gradhealth"),
        "steps": [0, STEPS],
        "tensors": len(NAMES),
        "streams": ["gradients"],
        "sessions": 1,
        "event_bytes": sizes(runs / "exp1") - archive,
        "archive_bytes": archive,
        "written": None,
        "full": True,
        "problems": [],
    }
    newest = max(path.stat().st_mtime for path in (runs / "exp1").rglob("*") if path.is_file())
    assert datetime.fromisoformat(str(first["written"])).timestamp() == int(newest)
    assert (second["label"], second["archive_bytes"]) == ("deep/exp2", 0)


def test_a_line_for_each_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", str(runs)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "run",
        "steps",
        "tensors",
        "streams",
        "sessions",
        "events",
        "archive",
        "last",
        "written",
        "rows",
    ]
    assert [line.split()[:6] for line in lines] == [
        [label, "[0,", f"{STEPS})", str(len(NAMES)), "gradients", "1"] for label in ("deep/exp2", "exp1")
    ]
    assert {line.split()[-1] for line in lines} == {"full"}


def test_a_run_within_a_run_is_another_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted().recording.write(tmp_path / "exp1")  # of a SummaryWriter, say
    planted(every=1).recording.again(session="f" * 16).write(tmp_path / "exp1" / "gradhealth", event_bytes=1)
    assert [(run["label"], run["full"]) for run in listed(tmp_path, capsys)] == [("exp1", True), ("exp1", False)]


def test_this_directory_is_the_default(runs: Path) -> None:
    for directory in (runs / "exp1", runs / "exp1" / "gradhealth"):
        done = gradhealth("ls", "--json", cwd=directory)
        assert [run["label"] for run in json.loads(done.stdout)] == ["."]


def test_an_overview_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted(every=1).recording.write(tmp_path / "long" / "gradhealth", event_bytes=1)
    (run,) = listed(tmp_path, capsys)
    assert run["full"] is False
    assert main(["ls", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("  overview")


def test_nothing_there_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"somebody else's")
    assert main(["ls", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "no run is recorded in or below" in said.err


def test_no_directory_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", str(tmp_path / "nothing")]) == 2
    assert "expected a directory to look in" in capsys.readouterr().err


def test_a_damaged_run_says_so_and_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("bad", "good"):
        written(tmp_path / name, archive=False)
    (file,) = (tmp_path / "bad").rglob("*tfevents*")
    data = bytearray(file.read_bytes())
    data[data.rindex(b"GHRG") + 8] ^= 1  # in a row group's tables; what is in its chunks shows only when it is read
    file.write_bytes(data)
    bad, good = listed(tmp_path, capsys)
    assert bad["problems"]
    assert good["problems"] == []
    assert main(["ls", str(tmp_path)]) == 0
    assert "\n  ! " in capsys.readouterr().out


def test_hostile_names_of_directories(tmp_path: Path) -> None:
    written(tmp_path / "a\x1b]0;owned\x07\u202e", archive=False)
    done = gradhealth("ls", tmp_path)
    assert r"a\x1b]0;owned\x07\u202e" in done.stdout
    assert all(character.isprintable() or character == "\n" for character in done.stdout)


def test_pipes_and_links_are_left_alone(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "events.out.tfevents.pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.tfevents").symlink_to(tmp_path / "nothing")
    assert main(["ls", str(tmp_path)]) == 1
    assert "no run" in capsys.readouterr().err
