"""How well diagnoses tell sick trainings from healthy ones, on a ground of real, seeded, small trainings.

Trainings that are not in --folder yet are made first: seconds each on one core, recorded by the real writer, labelled
by effect. Interrupt it whenever you like; what is complete stays. Then every judge looks at every run three times: at
all that was recorded, at gradients, weights and updates, and at gradients alone (with the loss and the learning rate).

Tune on development and examined only. What each part has is declared in bench/diagnosis/cells.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import options as of_command
from ..machine import describe
from ..store.command import writable_folder
from . import making, table
from .architectures import PARTS, Part
from .judges import JUDGES
from .judges.judge import STREAMS
from .making import Bar, Run
from .pathologies import Level
from .scoring import Score, judge_all, score

SUMMARY = "how well diagnoses tell sick trainings from healthy ones"
SMALL = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", choices=PARTS, help="only this one (default: all)")
    parser.add_argument("--runs", type=of_command.at_least(1), help="of each part, a fair sample (default: all)")
    parser.add_argument("--small", action="store_true", help=f"{SMALL} runs of each part, for a quick look")
    parser.add_argument("--folder", type=writable_folder, help="where runs are kept (default: nowhere)")
    parser.add_argument("--jobs", type=of_command.at_least(1), default=1, help="processes that train (%(default)s)")
    parser.add_argument("--there", action="store_true", help="make none: judge the runs that are there")
    parser.add_argument("--judge", action="append", choices=list(JUDGES), help="only this one; may be repeated")
    parser.add_argument("--mistakes", action="store_true", help="also list what the first judge missed and made up")
    parser.add_argument("--json", type=of_command.writable_file, help="also write the result to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    parts: Sequence[Part] = [options.part] if options.part else PARTS
    if options.folder is not None:
        _evaluate(options, parts, options.folder)
    else:
        with TemporaryDirectory() as folder:
            _evaluate(options, parts, Path(folder))


def _evaluate(options: argparse.Namespace, parts: Sequence[Part], folder: Path) -> None:
    for key, value in describe().items():
        print(f"{key:12s}{value}")
    written: dict[str, object] = {"machine": describe()}
    for part in parts:
        chosen = making.choose([part], SMALL if options.small else options.runs)
        runs = making.labelled(chosen, folder) if options.there else making.make(chosen, folder, options.jobs)
        print(f"\n{part}: {len(runs)} runs")
        if not runs:
            continue
        table.show_labels(runs)
        scores = _scores(runs, options.judge or list(JUDGES))
        first = next(iter(scores["all"]))
        table.show_scores(scores)
        table.show_confusion(scores["all"][first], first)
        table.show_habits(scores["all"][first], first)
        table.show_pathologies({level: by_judge[first] for level, by_judge in scores.items()}, first)
        if options.mistakes:
            table.show_mistakes(scores["all"][first], first)
        written[part] = {
            "runs": [asdict(run.label) for run in runs],
            "scores": {level: {name: asdict(one) for name, one in some.items()} for level, some in scores.items()},
        }
    if options.json is not None:
        options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def _scores(runs: Sequence[Run], judges: Sequence[str]) -> dict[Level, dict[str, Score]]:
    bar = Bar("judging", len(runs) * len(judges) * len(STREAMS))
    scores: dict[Level, dict[str, Score]] = {}
    for level in STREAMS:
        scores[level] = {}
        for name in judges:
            scores[level][name] = score(judge_all(runs, JUDGES[name], level, bar.next), level)
    bar.close()
    return scores
