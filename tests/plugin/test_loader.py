"""The entry point: every row kept unless the user says otherwise, and no failure of ours stops TensorBoard."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tb_gradhealth.plugin.loader import GradHealthLoader

from ..synthetic import Recording, recorded
from .board import Board
from .logs import long

SAMPLES = 5
LEVELS = 4  # that 1,500 steps have


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {"gradhealth": 0}),
        ({"scalars": 7}, {"scalars": 7, "gradhealth": 0}),
        ({"gradhealth": 5}, {"gradhealth": 5}),
        (None, None),
        ("scalars=7", "scalars=7"),
    ],
)
def test_the_sampling_default_is_ours_and_the_users_word_wins(given: object, kept: object) -> None:
    flags = argparse.Namespace(samples_per_plugin=given)
    GradHealthLoader().fix_flags(flags)
    assert flags.samples_per_plugin == kept


@pytest.mark.parametrize("fast", ["true", "false"], ids=["rust", "python"])
def test_a_users_sampling_is_obeyed_and_what_is_left_is_shown(tmp_path: Path, fast: str) -> None:
    long().write(tmp_path / "long" / "gradhealth")
    board = Board(tmp_path, fast, "--samples_per_plugin", f"gradhealth={SAMPLES}")
    board.wait(lambda b: b.get("meta", run="long/gradhealth").status == 200)

    def values() -> npt.NDArray[np.float64]:
        tiles = [board.tile("long/gradhealth", "norm", "max", f"0.0.{column}") for column in range(3)]
        return np.concatenate([tile.values[0, : tile.columns] for tile in tiles])

    board.wait(lambda b: b.get("meta", run="long/gradhealth").json["steps"][1] == 1500)
    assert len(values()) == 1500
    assert np.isfinite(values()).all(), "coarser rows show the rest"
    assert np.count_nonzero(np.diff(values())) <= 2 * SAMPLES * LEVELS


@pytest.mark.parametrize("fast", ["true", "false"], ids=["rust", "python"])
def test_a_path_prefix_changes_nothing(tmp_path: Path, fast: str) -> None:
    Recording(recorded(20)).write(tmp_path / "exp" / "gradhealth")
    board = Board(tmp_path, fast, "--path_prefix=/some/where")
    assert board.url.endswith("/some/where/")
    board.wait(lambda b: "exp/gradhealth" in b.runs())
    assert board.get("meta", run="exp/gradhealth").json["steps"] == [0, 20]
    assert board.get("static/..%2froutes.py").status == 404
    assert board.get("plugins_listing", root="data/").json["gradhealth"]["tab_name"] == "Grad Health"


def test_a_plugin_that_cannot_be_imported_costs_only_its_tab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Recording(recorded(20)).write(tmp_path / "exp" / "gradhealth")
    monkeypatch.setitem(sys.modules, "tb_gradhealth.plugin.routes", None)
    with caplog.at_level(logging.WARNING, "tb_gradhealth"):
        board = Board(tmp_path, "false")
    listing = board.get("plugins_listing", root="data/").json
    assert "scalars" in listing
    assert "gradhealth" not in listing
    assert board.get("", root="").status == 200
    assert "the Grad Health tab is off (ModuleNotFoundError" in caplog.text
    assert "pip check" in caplog.text


def test_the_tab_is_active_once_a_run_has_data(tmp_path: Path) -> None:
    (tmp_path / "exp").mkdir()
    board = Board(tmp_path, "false")
    listed = board.get("plugins_listing", root="data/").json["gradhealth"]
    assert listed["enabled"] is False
    Recording(recorded(20)).write(tmp_path / "exp" / "gradhealth")
    board.wait(lambda b: b.get("plugins_listing", root="data/").json["gradhealth"]["enabled"])


def test_the_entry_point_module_imports_nothing_that_could_fail() -> None:
    program = (
        "import sys, tb_gradhealth.plugin.loader;"
        "heavy = {'numpy', 'torch', 'triton', 'google_crc32c', 'gradhealth_kernels', 'tb_gradhealth.store'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "torch" not in done.stdout
    assert "tb_gradhealth.store" not in done.stdout
    assert "gradhealth_kernels" not in done.stdout
