"""One thread that works for all others, in the order in which they ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class OneThread:
    """An executor of one thread that the interpreter does not wait for when it ends, as it does for those of
    ``concurrent.futures``: Ctrl-C must end a TensorBoard whose requests hang on a dead mount."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._starting = threading.Lock()
        self._started = False

    def do(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises, done by the thread once it is through with what was asked before."""
        with self._starting:
            if not self._started:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._started = True
        done: Future[T] = Future()
        self._asked.put((done, work))
        return done.result()

    def _run(self) -> None:
        while True:
            _answer(*self._asked.get())


def _answer(done: Future[Any], work: Callable[[], Any]) -> None:
    """In a function of its own, so that what it worked with is not kept until the next one comes."""
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
