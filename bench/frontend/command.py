"""The Grad Health tab in a real headless browser, over TensorBoard with recordings of the sizes that it is to bear.

- wide: 2,241 rows × 65,536 steps, in both tiers;
- huge: 10,000 rows × 1,000,000 steps, event tier only; most of its steps are sampled, as in ``bench store``.

Rows are the modules and tensors of a language model, all of which can be unfolded. The browser draws without a GPU.
Nothing is printed unless the planted events of one step are found in the pixels at all of ``--looks`` random zooms and
folds, cells that the reader says are usual look it, every choice changes the picture, and no page has had an error.

``--folder`` keeps the recordings, so that the next run does not have to make them. Times on shared machines scatter.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import options as of_command
from ..machine import describe
from ..store.board import Board, fast_server
from ..store.command import versions, writable_folder
from ..store.figure import Figure, WrongResult
from ..store.table import show
from ..store.writing import BUDGET, Recorded, recorded
from . import beside, living, loading, moving, seeing, switching
from .browser import chromium
from .cases import CASES, SMALL, Sized

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Found = dict[str, list[Figure]]

SUMMARY = "the tab in a browser: first picture, bytes, frames, switches, memory, and whether every event is seen"
MEASURES = ("load", "frames", "switch", "drill", "heap", "events", "live", "beside")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--measure", action="append", choices=MEASURES, help="only this; may be repeated")
    parser.add_argument("--small", action="store_true", help="the same in small, for a quick look: no limits apply")
    parser.add_argument("--folder", type=writable_folder, help="where recordings are kept (default: nowhere)")
    count = of_command.at_least(1)
    parser.add_argument("--loads", type=count, default=7, help="fresh loads per case (default %(default)s)")
    parser.add_argument("--rounds", type=count, default=4, help="of each motion, 240 frames (default %(default)s)")
    parser.add_argument("--repeats", type=count, default=9, help="of each choice and click (default %(default)s)")
    parser.add_argument("--looks", type=count, default=200, help="at planted events, per case (default %(default)s)")
    parser.add_argument("--refreshes", type=count, default=400, help="of a live session (default %(default)s)")
    parser.add_argument("--json", type=of_command.writable_file, help="also write the result to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    chosen = [case for case in (SMALL if options.small else CASES) if not options.case or case.name in options.case]
    heads = {case.name: f"{case.name}: {case.label}" for case in chosen}
    found: Found = {}
    kept = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory()
    try:
        with kept as folder, chromium() as browser:
            known = {**versions(), "chromium": browser.version}
            for case in chosen:
                one = recorded(case, Path(folder) / f"{case.name}{'-small' * options.small}", BUDGET)
                heads[case.name] += f"\n  recorded in {one.seconds:.0f} s"
                found[case.name] = list(_kept(case.name, _of_case(browser, one, options), options.small))
                _save(options, known, chosen, found)
            rest = _kept("every case", _of_all(browser, chosen, Path(folder), options), options.small)
            heads["any"] = "whatever the case"
            found["any"] = list(rest)
            _save(options, known, chosen, found)
    except WrongResult as error:
        raise SystemExit(f"{error}: no figure is printed") from error
    show(heads, known, found)


def _save(options: argparse.Namespace, known: dict[str, str], cases: Sequence[Sized], found: Found) -> None:
    """What holds so far, for later cases take minutes."""
    if options.json is None:
        return
    written = {
        "machine": {**describe(), **known},
        "cases": {case.name: asdict(case) for case in cases},
        "figures": {name: [asdict(figure) | {"met": figure.met} for figure in some] for name, some in found.items()},
    }
    options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def _of_case(browser: Browser, one: Recorded, options: argparse.Namespace) -> Iterator[Figure]:
    wanted = options.measure or MEASURES
    case = one.case
    assert isinstance(case, Sized)
    with Board(one.logdir, fast_server()) as board:
        board.ready(case.steps)
        if "load" in wanted:
            yield from loading.first_views(browser, board.url, case.name, options.loads)
        if "frames" in wanted:
            yield from moving.frames(browser, board.url, options.rounds)
        if "switch" in wanted:
            yield from switching.switches(browser, board.url, case, options.repeats)
        if "drill" in wanted:
            yield from switching.drills(browser, board.url, case, options.repeats)
        if "heap" in wanted:
            yield loading.heap(browser, board.url)
        if "events" in wanted:
            yield from seeing.found(browser, board.url, one, options.looks)
        if "beside" in wanted:
            yield beside.ours(browser, board.url, min(3, options.loads))


def _of_all(browser: Browser, cases: Sequence[Sized], folder: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """What does not depend on a case's size, or was measured for one size alone."""
    wanted = options.measure or MEASURES
    if "load" in wanted:
        yield loading.bundle()
    if "live" in wanted:
        with tempfile.TemporaryDirectory() as live:
            yield from living.session(browser, Path(live), options.refreshes)
    if "beside" in wanted:
        with tempfile.TemporaryDirectory() as theirs:
            yield from beside.theirs(browser, Path(theirs), cases[0], min(3, options.loads))


def _kept(what: str, figures: Iterator[Figure], small: bool) -> Iterator[Figure]:
    for figure in figures:
        _say(f"{what}: {figure.name} {figure.value:.4g} {figure.unit} ({figure.note})")
        yield replace(figure, limit=None) if small else figure


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
