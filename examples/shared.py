"""What the examples share: their two arguments, real data that ships with a package, and where to look afterwards."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from tb_gradhealth.demo.text import read, standard_library


def options(name: str, steps: int = 200) -> argparse.Namespace:
    """``--logdir`` and ``--steps`` from the command line."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--logdir", default=f"runs/{name}", help="where the run is written (%(default)s)")
    parser.add_argument("--steps", type=int, default=steps, help="optimizer steps (%(default)s)")
    return parser.parse_args()


def digits() -> TensorDataset:
    """1797 handwritten digits of 8 × 8 pixels, from scikit-learn."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def text(sequence: int) -> tuple[Tensor, int]:
    """Source code of the standard library as tokens ``[sample, sequence + 1]``, and the size of the vocabulary."""
    corpus = read(standard_library(100_000))
    samples = len(corpus.tokens) // (sequence + 1)
    tokens = torch.from_numpy(corpus.tokens[: samples * (sequence + 1)])
    return tokens.view(samples, sequence + 1), corpus.vocabulary


def batches(loader: Iterable[Any], number: int) -> Iterator[Any]:
    """The first ``number`` batches of as many epochs as that takes."""
    return itertools.islice(itertools.chain.from_iterable(itertools.repeat(loader)), number)


def say_where(logdir: str) -> None:
    print(f"The run is in {logdir}. To look at it: tensorboard --logdir {Path(logdir).parent}, tab Grad Health")
