"""What was read and decoded, within a bound on memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

CACHE_BYTES = 48 << 20


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Cache:
    """The most recently used values, within :data:`CACHE_BYTES`; may be shared by runs and threads."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``key``, made if it is not there; passes on what ``make`` raises."""
        with self._lock:
            value: T | None = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
                return value
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._bytes += value.nbytes
            while self._bytes > CACHE_BYTES and len(self._values) > 1:
                self._bytes -= self._values.popitem(last=False)[1].nbytes
        return value


#: One for the process: what is looked at now may take all of it, whichever run it is of.
CACHE = Cache()
