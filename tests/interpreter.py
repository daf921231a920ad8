"""A plugin of pytest that makes Triton's interpreter twice as fast, see :mod:`tests.triton_processes`.

The interpreter puts functions of its own in the place of the language's when a kernel is launched, and then again for
each call within it, where they are already. So here that is done once a launch for each module that kernels use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def pytest_configure() -> None:
    from triton import language
    from triton.runtime import interpreter

    patch, launch = interpreter._patch_lang, interpreter.GridExecutor.__call__
    done: set[tuple[bool, bool]] = set()

    def patch_once(function: Callable[..., Any]) -> Any:
        seen = function.__globals__.values()
        uses = any(one is language for one in seen), any(one is language.core for one in seen)
        if uses in done:
            return None
        done.add(uses)
        return patch(function)

    def launch_anew(self: Any, *arguments: Any, **options: Any) -> Any:
        done.clear()
        return launch(self, *arguments, **options)

    interpreter._patch_lang, interpreter.GridExecutor.__call__ = patch_once, launch_anew
