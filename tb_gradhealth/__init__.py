"""Gradient health in TensorBoard: which tensor went wrong, at which step, and why.

Importing this imports nothing else: torch is loaded when :class:`GradHealthWriter` is first named, so the TensorBoard
plugin, :func:`open_run` and the command line work in an environment without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reading.opened import open_run
    from .writer import GradHealthWriter

    __version__: str

__all__ = ["GradHealthWriter", "__version__", "open_run"]


def __getattr__(name: str) -> object:
    """The public names, each loaded when it is first asked for (PEP 562)."""
    if name == "GradHealthWriter":
        value: object = _writer()
    elif name == "open_run":
        from .reading.opened import open_run as value
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _writer() -> type[GradHealthWriter]:
    try:
        from .writer import GradHealthWriter
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "GradHealthWriter needs PyTorch, which is not installed in this environment: "
            "run `pip install 'tb-gradhealth[torch]'`. Viewing recorded runs in TensorBoard needs no PyTorch."
        ) from error
    return GradHealthWriter


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("tb-gradhealth")
    except metadata.PackageNotFoundError:
        return "0+unknown"
