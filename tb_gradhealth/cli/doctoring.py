"""``gradhealth doctor``: what a function of the user's returns, looked at before it is trained."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tb_gradhealth

from ..diagnosis import SEVERITIES
from ..reading.choose import AskedError
from .status import DONE, FAILED, FOUND
from .terminal import coloured, complain

if TYPE_CHECKING:
    from ..checkup import Report

_EXPECTED = "expected a function that returns (model, input_fn, loss_fn), or with an optimizer as the fourth"


def doctor(options: argparse.Namespace) -> int:
    """torch is loaded here, and by what is looked at. What the user's functions raise is theirs to read in full."""
    try:
        report = _report(options.function, options.device, options.steps)
    except AskedError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) and "PyTorch" in str(error):
            raise
        traceback.print_exc()
        complain(f"{options.function} raised {type(error).__name__}: {error}")
        return FAILED
    if options.json:
        print(json.dumps({"function": options.function, **report.content()}, indent=2, allow_nan=False))
    else:
        from ..checkup.telling import text

        print(text(report, lambda part, colour: coloured(part, colour, sys.stdout)))
    grave = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1] if options.fail_on else ()
    return FOUND if any(one.severity in grave for one in report.findings) else DONE


def _report(function: str, name: str, steps: int) -> Report:
    look = tb_gradhealth.doctor  # says what to install where torch is missing
    import torch

    from ..checkup import ContractError
    from ..checkup.leaves import moved

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise AskedError(f"--device: expected a device such as cpu or cuda:0, got {name!r}") from error
    made = loaded(function)()  # which may import what the device needs
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise AskedError(f"--device: {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    if not isinstance(made, tuple) or len(made) not in (3, 4):
        came = f"{len(made)} values" if isinstance(made, tuple) else type(made).__name__
        raise AskedError(f"{function}: {_EXPECTED}, got {came}")
    model, input_fn, loss_fn, optimizer = (*made, None)[:4]
    try:
        if isinstance(model, torch.nn.Module):
            model.to(device)
        if callable(input_fn):
            return look(model, lambda: moved(input_fn(), device), loss_fn, optimizer, steps)
        return look(model, input_fn, loss_fn, optimizer, steps)
    except ContractError as error:
        raise AskedError(f"{function}: {error}") from error


def loaded(name: str) -> Callable[[], Any]:
    """``package.module:function`` or ``path/to/file.py:function``; modules are also looked for in this directory."""
    where, colon, function = name.rpartition(":")
    if not colon or not where or not function.isidentifier():
        raise AskedError(f"expected package.module:function or path/to/file.py:function, got {name!r}")
    if where.endswith(".py"):
        module = _of_file(Path(where))
    else:
        sys.path.insert(0, "")
        try:
            module = importlib.import_module(where)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{where}.".startswith(f"{error.name}."):
                raise
            raise AskedError(
                f"there is no module {where!r}: expected one that python -c 'import {where}' finds"
            ) from error
    found = getattr(module, function, None)
    if not callable(found):
        there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise AskedError(f"{where} has no function {function!r}; it has {', '.join(there) or 'none'}")
    made: Callable[[], Any] = found
    return made


def _of_file(path: Path) -> Any:
    """Run as a module, so what stands below ``if __name__ == "__main__"`` does not run; what it imports is also looked
    for beside it."""
    if not path.is_file():
        raise AskedError(f"there is no file {path}")
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise AskedError(f"expected a file that Python can import, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
