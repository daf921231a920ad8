"""What the writer costs a training step on the CPU.

Two copies of the reference model (GPT: width 256, 4 layers, sequence 128, batch 8) train on the same data with the same
seed, one with the writer. Blocks of steps alternate between them in the order A B B A, so that a machine that grows
slower or faster touches both alike. The figure is the median over pairs of neighbouring blocks of watched / bare time,
with a 95 % bootstrap interval. Nothing is printed unless both copies end bit-identical and the file holds every step.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.demo.model import GPT, GPTConfig
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run

from .machine import describe

SUMMARY = "step time of a small GPT with and without the writer"
VOCABULARY, SEQUENCE, BATCH = 96, 128, 8
THREADS = 2
RESAMPLES = 10_000


class WrongResult(RuntimeError):
    """The runs do not agree, so their times mean nothing."""


@dataclass
class Contender:
    """One training that can be advanced step by step."""

    model: GPT
    optimizer: Any
    generator: torch.Generator

    @classmethod
    def make(cls) -> Contender:
        torch.manual_seed(0)
        model = GPT(GPTConfig(vocabulary=VOCABULARY, width=256, layers=4, heads=8, sequence=SEQUENCE))
        return cls(model, torch.optim.AdamW(model.parameters(), lr=3e-4), torch.Generator().manual_seed(1))

    def advance(self, steps: int) -> float:
        """Train; returns seconds."""
        begin = time.perf_counter()
        for _ in range(steps):
            tokens = torch.randint(VOCABULARY, (BATCH, SEQUENCE + 1), generator=self.generator)
            logits = self.model(tokens[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - begin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=40, help="pairs of blocks (default %(default)s)")
    parser.add_argument("--every", type=int, default=10, help="steps a row covers (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(THREADS)
    # A block of two rows: what one block hands to the writer's thread is encoded within the same block.
    steps = 2 * options.every
    with tempfile.TemporaryDirectory() as directory:
        bare, watched = Contender.make(), Contender.make()
        watched.optimizer = GradHealthWriter(watched.optimizer, watched.model, logdir=directory, every=options.every)
        bare.advance(steps)
        watched.advance(steps)
        seconds = np.empty((options.pairs, 2))
        for pair in range(options.pairs):
            order = (bare, watched) if pair % 2 == 0 else (watched, bare)
            for contender in order:
                seconds[pair, int(contender is watched)] = contender.advance(steps) / steps
            print(f"\r  pair {pair + 1}/{options.pairs}", end="", flush=True)
        print("\r" + " " * 30, end="\r")
        problems = watched.optimizer.gradhealth.problems
        watched.optimizer.gradhealth.close()
        _check(bare, watched, problems, Path(directory), steps * (options.pairs + 1))
    result = summarise(seconds)
    _print(result, options)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": describe(), **result}, indent=1) + "\n")


def _check(bare: Contender, watched: Contender, problems: int, directory: Path, steps: int) -> None:
    for (name, one), other in zip(bare.model.named_parameters(), watched.model.parameters(), strict=True):
        if not torch.equal(one, other):
            raise WrongResult(f"{name} differs between the watched and the bare training: no figure is printed")
    run = Run()
    run.update(FileSource(directory / "gradhealth"))
    end = run.timeline("gradients").end
    if problems or end != steps:
        raise WrongResult(f"{problems} problems, {end} of {steps} steps in the file: no figure is printed")


def summarise(seconds: npt.NDArray[np.float64]) -> dict[str, float]:
    """Medians and the 95 % bootstrap interval of the ratio from ``seconds [pair, bare watched]``."""
    ratios = seconds[:, 1] / seconds[:, 0]
    picks = np.random.default_rng(0).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[picks], axis=1), [2.5, 97.5])
    return {
        "bare_ms": float(np.median(seconds[:, 0]) * 1e3),
        "watched_ms": float(np.median(seconds[:, 1]) * 1e3),
        "ratio": float(np.median(ratios)),
        "ratio_low": float(low),
        "ratio_high": float(high),
    }


def _print(result: dict[str, float], options: argparse.Namespace) -> None:
    for key, value in describe().items():
        print(f"{key:10s} {value}")
    print(f"reference GPT, a row each {options.every} steps, {options.pairs} pairs of {2 * options.every}-step blocks")
    print(f"bare       {result['bare_ms']:8.2f} ms a step")
    print(f"watched    {result['watched_ms']:8.2f} ms a step")
    low, high = (100 * (result[key] - 1) for key in ("ratio_low", "ratio_high"))
    print(f"overhead   {100 * (result['ratio'] - 1):8.2f} %   (95 % interval {low:.2f} … {high:.2f} %)")
