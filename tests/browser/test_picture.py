"""The README's picture: the dying run of the demo as the tab shows it.

``GRADHEALTH_PICTURE=docs/images/heatmap.png ./dev test tests/browser/test_picture.py`` takes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tests.demo.trained import STEPS, Trained

from .conftest import TensorBoard
from .test_heatmap import meta, pixels, settled


def test_the_projection_visibly_dies(trained: Trained, open_tab: Any, tmp_path: Path) -> None:
    served = TensorBoard(trained.logdir)
    try:
        tab = open_tab(served.url).ready()
        nodes = {run: meta(served, f"{run}/gradhealth")["nodes"]["name"] for run in ("healthy", "dying")}
        begin, end = {}, {}
        for run in ("healthy", "dying"):
            tab.choose_run(f"{run}/gradhealth")
            settled(tab)
            tab.part("metric").select_option("near_zero_fraction")
            tab.part("view").select_option("mean")
            settled(tab)
            node = nodes[run].index("projection.weight")
            begin[run] = pixels(tab, node, 0).mean(axis=(0, 1))
            end[run] = pixels(tab, node, STEPS - 1).mean(axis=(0, 1))
        assert np.abs(begin["dying"] - end["dying"]).max() > 60, "the end of the dying row looks unlike its beginning"
        assert np.abs(begin["healthy"] - end["healthy"]).max() < 30
        tab.page.screenshot(path=os.environ.get("GRADHEALTH_PICTURE", tmp_path / "heatmap.png"))
        assert tab.problems == []
    finally:
        served.stop()
