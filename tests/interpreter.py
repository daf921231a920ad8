"""A plugin of pytest that makes Triton's interpreter several times as fast, see :mod:`tests.triton_processes`.

It computes what the interpreter computes, but not again: what the interpreter puts in the place of the language's
functions when a kernel is launched, it puts there for each call within it too; and it derives a tensor's shape, size
and type in NumPy anew for each tensor of a type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def pytest_configure() -> None:
    patch_once_a_launch()
    remember_types()


def patch_once_a_launch() -> None:
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


def remember_types() -> None:
    """A type keeps what was derived from it. Blocks of equal elements and shape share that."""
    from triton.language import core
    from triton.runtime import interpreter

    new_block, new_tensor, numpy_type = core.block_type.__init__, core.tensor.__init__, interpreter._get_np_dtype

    def block(self: Any, element_ty: Any, shape: Any) -> None:
        blocks = element_ty.__dict__.setdefault("blocks", {})
        sizes = tuple(getattr(size, "value", size) for size in shape)
        if sizes not in blocks:
            new_block(self, element_ty, shape)
            blocks[sizes] = self.__dict__
        self.__dict__ = blocks[sizes]

    def tensor(self: Any, handle: Any, type: Any) -> None:
        derived = type.__dict__.get("of_tensors")
        if derived is None:
            new_tensor(self, handle, type)
            type.of_tensors = {"shape": self.shape, "numel": self.numel, "type": type, "dtype": self.dtype}
        else:
            self.__dict__.update(derived, handle=handle)

    def in_numpy(dtype: Any) -> Any:
        found = dtype.__dict__.get("in_numpy")
        if found is None:
            found = dtype.in_numpy = numpy_type(dtype)
        return found

    core.block_type.__init__, core.tensor.__init__, interpreter._get_np_dtype = block, tensor, in_numpy
