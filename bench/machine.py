"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import numpy as np
import torch

from gradhealth_kernels.pair import packed_instructions


def processor() -> str:
    """The processor's name as the kernel gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def gpus() -> dict[str, str]:
    """Name, memory and driver of the GPUs that torch sees, and the kernels' form there; nothing without one."""
    if not torch.cuda.is_available():
        return {}
    named = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        capability = f"sm_{properties.major}{properties.minor}"
        named.append(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, {capability}")
    packed = packed_instructions(torch.device("cuda", torch.cuda.current_device()))
    return {
        "gpu": "; ".join(named),
        "driver": _driver(),
        "cuda": str(torch.version.cuda),
        "kernels": "packed instructions" if packed else "plain",
    }


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return "unknown"
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return found[1] if found else "unknown"


def triton() -> str:
    """Triton's version, without importing it."""
    for package in ("triton", "pytorch-triton"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def describe() -> dict[str, str]:
    """Machine and versions, for the head of a table and for the results file."""
    return {
        "processor": f"{processor()}, {counted(os.cpu_count() or 1, 'core')}",
        **gpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": f"{torch.__version__}, {counted(torch.get_num_threads(), 'thread')}",
        "triton": triton(),
        "numpy": np.__version__,
    }
