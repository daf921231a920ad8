"""What writing a run and looking at it costs, on made-up trainings, beside the figures that the store is to reach.

- long: a million steps of 100 tensors, in both tiers and with the event file alone, with 10,000 events of one step of
  one tensor at random places;
- wide: a million steps of 10,000 tensors, event tier only. Steps are generated one by one until its first two levels
  have used up their share of the budget, then one step of each 160;
- archive: 20,000 rows of 1,000 tensors.

All go through the real merges, codes and files, and a real TensorBoard with and without its Rust server answers for
them. Nothing is printed unless rows at random places read back as the training was, within the bounds of the codes.

``--folder`` keeps the recordings, so that the next run does not have to make them. Times on shared machines scatter.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from .. import options as of_command
from ..machine import describe
from . import encoding, measures, writing
from .board import fast_server
from .cases import CASES, SMALL, Case
from .figure import Figure, WrongResult
from .table import show
from .writing import Recorded, recorded

SUMMARY = "size and speed of event files, archive and reader, on made-up trainings"
MEASURES = ("size", "reader", "tensorboard", "events", "encoding")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--measure", action="append", choices=MEASURES, help="only this; may be repeated")
    parser.add_argument("--small", action="store_true", help="the same in small, for a quick look: no limits apply")
    parser.add_argument("--folder", type=writable_folder, help="where recordings are kept (default: nowhere)")
    parser.add_argument("--tiles", type=of_command.at_least(1), default=300, help="per figure (default %(default)s)")
    parser.add_argument("--json", type=of_command.writable_file, help="also write the result to this file")
    parser.set_defaults(run=run)


def writable_folder(text: str) -> Path:
    """A folder that is there or can be made."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder, got {text!r}; it is a file: name another")
    return path


def run(options: argparse.Namespace) -> None:
    chosen = [case for case in (SMALL if options.small else CASES) if not options.case or case.name in options.case]
    wanted = options.measure or MEASURES
    found: dict[str, list[Figure]] = {}
    heads = {case.name: f"{case.name}: {case.label}" for case in chosen}
    kept = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory()
    try:
        with kept as folder:
            for case in chosen:
                one = recorded(case, Path(folder) / f"{case.name}{'-small' * options.small}", writing.BUDGET)
                _say(f"{case.name}: checking what is read back")
                numbers = measures.checked(one)
                heads[case.name] += f"\n  recorded in {one.seconds:.0f} s; {numbers:,} numbers read back as they were"
                found[case.name] = []
                for figure in _measured(one, wanted, options.tiles):
                    _say(f"{case.name}: {figure.name} {figure.value:.4g} {figure.unit}")
                    found[case.name].append(replace(figure, limit=None) if options.small else figure)
    except WrongResult as error:
        raise SystemExit(f"{error}: no figure is printed") from error
    show(heads, versions(), found)
    if options.json is not None:
        options.json.write_text(_as_json(chosen, found))


def _measured(one: Recorded, wanted: Sequence[str], tiles: int) -> Iterator[Figure]:
    tiers = {"overview": one.overview} | ({"both tiers": one.logdir} if one.case.archive else {})
    if "size" in wanted:
        yield from measures.sizes(one)
    for name, logdir in tiers.items():
        if "reader" in wanted:
            yield from measures.alone(one, logdir, tiles, name)
        if "tensorboard" in wanted:
            for fast in [True] * fast_server() + [False]:
                yield from measures.served(one, logdir, tiles, name, fast)
        if "events" in wanted and one.case.events:
            yield from measures.visible(one, logdir, name)
    if "encoding" in wanted and one.case.name == "archive":
        yield from encoding.per_row(one.case)
        yield from encoding.hand_off(one.case)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def versions() -> dict[str, str]:
    """Beside those of every benchmark."""
    try:
        rust = importlib.metadata.version("tensorboard-data-server") if fast_server() else "none"
    except importlib.metadata.PackageNotFoundError:
        rust = "none"
    return {"tensorboard": importlib.metadata.version("tensorboard"), "data server": rust}


def _as_json(cases: Sequence[Case], found: dict[str, list[Figure]]) -> str:
    written = {
        "machine": {**describe(), **versions()},
        "cases": {case.name: asdict(case) for case in cases},
        "figures": {name: [asdict(figure) | {"met": figure.met} for figure in some] for name, some in found.items()},
    }
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"
