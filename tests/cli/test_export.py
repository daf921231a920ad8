"""``gradhealth export``: every format has the lines that ``open_run`` has."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tb_gradhealth import open_run
from tb_gradhealth.cli.command import main
from tb_gradhealth.cli.formats import Csv, Parquet, harmless
from tests.planted import STEPS
from tests.synthetic import Recording, recorded

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\nx",
    "＝x",
    'a,b"c',
    "a\x1b[31m",
    "\u202eb",
    "\ud800c",
)


def export(run: Path, *options: str, capfd: pytest.CaptureFixture[str]) -> str:
    """Standard output."""
    assert main(["export", str(run), *options]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    return said.out


def lines(run: Path, **asked: Any) -> list[dict[str, Any]]:
    return list(open_run(run).rows(**asked))


def test_csv(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = export(runs / "exp1", capfd=capfd)
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    expected = lines(runs / "exp1")
    assert len(found) == len(expected) > 0
    for line, wanted in zip(found, expected, strict=True):
        assert line == {name: "" if value is None else str(value) for name, value in wanted.items()}


def test_json_lines(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = export(runs / "exp1", "--format", "jsonl", capfd=capfd)
    assert text.isascii()
    assert [json.loads(line) for line in text.splitlines()] == lines(runs / "exp1")


def test_parquet(runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert export(runs / "exp1", "-o", str(tmp_path / "exp1.parquet"), capfd=capfd) == ""
    table = parquet.read_table(tmp_path / "exp1.parquet")
    assert table.to_pylist() == lines(runs / "exp1")
    assert str(table.schema.field("first_bad").type) == "int64"
    assert str(table.schema.field("norm_max").type) == "double"


def test_parquet_of_several_row_groups(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tb_gradhealth.cli.formats.GROUP_VALUES", 1)
    monkeypatch.setattr("tb_gradhealth.reading.lines.BATCH_VALUES", 1)
    export(runs / "exp1", "-o", str(tmp_path / "x.parquet"), capfd=capfd)
    file = parquet.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups == len(open_run(runs / "exp1").read().steps)
    assert file.read().to_pylist() == lines(runs / "exp1")


def test_what_is_asked_for(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--metric", "norm,rms", "--metric", "mean", "--nodes", "blocks.*.attn.*", "--nodes", ""]
    options += ["--steps", "15:40", "--stream", "gradients", "--format", "jsonl"]
    text = export(runs / "exp1", *options, capfd=capfd)
    asked = {"metrics": ["norm", "rms", "mean"], "nodes": ["blocks.*.attn.*", ""], "steps": (15, 40)}
    found = [json.loads(line) for line in text.splitlines()]
    assert found == lines(runs / "exp1", **asked)
    assert [name for name in found[0] if name.endswith("_max")] == ["norm_max", "rms_max", "mean_max"]
    assert {(line["start"], line["stop"]) for line in found} == {(10, 20), (20, 30), (30, 40)}


@pytest.mark.parametrize("option", [["--level", "1"], ["--width", "3"]])
def test_coarser(runs: Path, option: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    text = export(runs / "exp1", "--nodes", "embed", "--format", "jsonl", *option, capfd=capfd)
    (line,) = map(json.loads, text.splitlines())
    assert (line["start"], line["stop"], line["recorded"]) == (0, STEPS, STEPS)


@pytest.mark.parametrize(
    ("name", "first"), [("x.csv", b"start,"), ("x.JSONL", b'{"start"'), ("x.parquet", b"PAR1"), ("x", b"start,")]
)
def test_the_name_of_the_file_tells_the_format(
    runs: Path, tmp_path: Path, name: str, first: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    export(runs / "exp1", "-o", str(tmp_path / name), capfd=capfd)
    assert (tmp_path / name).read_bytes().startswith(first)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "parquet"], "parquet is no text: name a file with -o FILE"),
        (["--metric", "nrom"], "metric: expected one of norm, "),
        (["--nodes", "nothing*"], "'nothing*' fits none of 13 nodes"),
        (["--stream", "x"], "stream: expected one of gradients"),
        (["--level", "99"], "level: expected 0 to "),
        (["-o", "/nowhere/at/all.csv"], "cannot write '/nowhere/at/all.csv': No such file or directory"),
    ],
)
def test_what_cannot_be_had_is_2(runs: Path, options: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(runs / "exp1"), *options]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err


def test_without_pyarrow_the_error_names_the_extra(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", str(runs / "exp1"), "-o", str(tmp_path / "x.parquet")]) == 2
    assert "pip install 'tb-gradhealth[parquet]'" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    Recording(recorded(10, len(HOSTILE)), names=HOSTILE).write(root / "gradhealth")
    return root


def test_names_do_not_become_formulas_or_commands(hostile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = export(hostile, capfd=capfd)
    assert all(character.isprintable() or character == "\n" for character in text)
    found = [line["node"] for line in csv.DictReader(io.StringIO(text, newline=""))]
    assert found == [
        "",
        "'=cmd|' /C calc'!A0",
        "'+1",
        "'-1",
        "'@SUM(A1)",
        r"'\tx",
        r"'\rx",
        r"'\nx",
        "'＝x",
        'a,b"c',
        r"a\x1b[31m",
        r"\u202eb",
        r"\ud800c",
    ]


def test_numbers_keep_their_sign(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = export(runs / "exp1", "--metric", "mean", "--nodes", "embed", capfd=capfd)
    found = [float(line["mean_min"]) for line in csv.DictReader(io.StringIO(text)) if line["mean_min"]]
    assert min(found) < 0


@pytest.mark.parametrize("name", ["exp1.xlsx", "exp1.json", "exp1.csv.gz"])
def test_an_ending_of_another_format_is_not_written_as_csv(
    runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["export", str(runs / "exp1"), "-o", str(tmp_path / name)]) == 2
    assert "expected a file called .csv, .jsonl" in capfd.readouterr().err
    assert list(tmp_path.glob("exp1.*")) == []


def test_other_formats_have_the_names_as_they_are(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = export(hostile, "--format", "jsonl", capfd=capfd)
    assert [json.loads(line)["node"] for line in text.splitlines()] == ["", *HOSTILE]
    export(hostile, "-o", str(tmp_path / "x.parquet"), capfd=capfd)
    found = parquet.read_table(tmp_path / "x.parquet")["node"].to_pylist()
    assert found == ["", *HOSTILE[:-1], "?c"]  # half a surrogate pair is no text


def test_names_of_columns_are_made_harmless_too() -> None:
    assert harmless("=1_mean") == "'=1_mean"
    file = io.StringIO()
    Csv(file, [*open_columns("=1\x1b")])
    assert file.getvalue() == "'=1\\x1b\n"


def open_columns(name: str) -> list[Any]:
    from tb_gradhealth.reading.lines import Column

    return [Column(name, "whole")]


@pytest.mark.parametrize(("name", "format"), [("x.csv", Csv), ("x.parquet", Parquet)])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    runs: Path, tmp_path: Path, name: str, format: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    (tmp_path / name).write_text("old")
    monkeypatch.setattr(format, "write", full)
    assert main(["export", str(runs / "exp1"), "-o", str(tmp_path / name)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_the_file_is_as_others_that_this_user_makes(
    runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").touch()
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    export(runs / "exp1", "-o", str(tmp_path / "link.csv"), capfd=capfd)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("start,")
    assert (tmp_path / "real.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_devices_and_directories_are_not_replaced(
    runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(runs / "exp1", "-o", os.devnull, capfd=capfd)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert main(["export", str(runs / "exp1"), "-o", str(tmp_path)]) == 2
    assert "is a directory: name one in it" in capfd.readouterr().err


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recording(recorded(300), every=1).write(tmp_path / "gradhealth")
    monkeypatch.setattr("tb_gradhealth.reading.lines.BATCH_VALUES", 10_000)
    batches = list(open_run(tmp_path).lines())
    assert sum(len(batch[0]) for batch in batches) == 300 * 13
    assert len(batches) > 10
    assert max(len(batch[0]) * len(batch) for batch in batches) <= 10_000
