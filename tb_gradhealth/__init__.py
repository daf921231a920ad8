"""Gradient health in TensorBoard: which tensor went wrong, at which step, and why.

Importing this imports nothing else: torch is loaded when :class:`GradHealthWriter` or :func:`doctor` is first named, so
the TensorBoard plugin, :func:`open_run` and the command line work in an environment without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkup.examination import doctor
    from .live.actions import TrainingStopped
    from .reading.opened import open_run
    from .writer import GradHealthWriter

    __version__: str

__all__ = ["GradHealthWriter", "TrainingStopped", "__version__", "doctor", "open_run"]


def __getattr__(name: str) -> object:
    """The public names, each loaded when it is first asked for (PEP 562)."""
    if name in ("GradHealthWriter", "doctor"):
        value: object = _training_side(name)
    elif name == "open_run":
        from .reading.opened import open_run as value
    elif name == "TrainingStopped":
        from .live.actions import TrainingStopped as value
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _training_side(name: str) -> object:
    try:
        if name == "doctor":
            from .checkup.examination import doctor

            return doctor
        from .writer import GradHealthWriter

        return GradHealthWriter
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            f"{name} needs PyTorch, which is not installed in this environment: "
            "run `pip install 'tb-gradhealth[torch]'`. Viewing recorded runs in TensorBoard needs no PyTorch."
        ) from error


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("tb-gradhealth")
    except metadata.PackageNotFoundError:
        return "0+unknown"
