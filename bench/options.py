"""Types of command-line options: what is wrong with one is said before anything is measured."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import torch


def writable_file(text: str) -> Path:
    """A file that can be made or written over; it is left as it is."""
    path = Path(text)
    folder = path.parent
    if path.is_dir():
        _refuse("a writable file", text, "it is a folder; name a file in it")
    if path.exists():
        if not os.access(path, os.W_OK):
            _refuse("a writable file", text, "it may not be written to; name another")
    elif not folder.is_dir():
        _refuse("a writable file", text, f"there is no folder {str(folder)!r}; make it or name another")
    elif not os.access(folder, os.W_OK | os.X_OK):
        _refuse("a writable file", text, f"no file may be made in {str(folder)!r}; name another folder")
    return path


def writable_png(text: str) -> Path:
    path = writable_file(text)
    if path.suffix.lower() != ".png":
        _refuse("a file that ends in .png", text, "no other kind of picture is drawn")
    return path


def device(text: str) -> torch.device:
    """cpu, or a CUDA device with its index."""
    try:
        named = torch.device(text)
    except RuntimeError:
        named = torch.device("meta")
    if named.type not in ("cpu", "cuda"):
        _refuse("cpu, cuda or cuda:INDEX", text, "nothing else is measured")
    if named.type == "cpu":
        return torch.device("cpu")
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = named.index or 0
    if index >= seen:
        _refuse("a CUDA device that torch sees", text, f"it sees {seen}; --device cpu runs without one")
    return torch.device("cuda", index)


def usual_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            given = int(text)
        except ValueError:
            given = least - 1
        if given < least:
            _refuse(f"a whole number from {least} on", text, "leave it out for the usual one")
        return given

    return number


def _refuse(expected: str, got: str, advice: str) -> None:
    raise argparse.ArgumentTypeError(f"expected {expected}, got {got!r}; {advice}")
