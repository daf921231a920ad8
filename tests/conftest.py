"""Shared by all tests: property tests draw the same examples on every machine, none has a stopwatch, and what takes
long to make is made once."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from tests.shared import once

if TYPE_CHECKING:
    from tests.demo.trained import Trained

# Threads that spin while they wait make a busy machine many times slower; read when OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # there are as many workers as cores, or more
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts what is in the background with Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("tb_gradhealth", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("tb_gradhealth")
# Hypothesis draws constants that it finds in the local modules imported by then, so that a test's examples would depend
# on the tests before it in the same process. It has no setting against that.
if hasattr(providers, "is_local_module_file"):
    providers.is_local_module_file = lambda path: False


def pytest_collection_finish() -> None:
    """What is there when tests begin stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


#: What their files share, servers and processes that have imported torch, cannot be handed to another process.
BY_ONE_WORKER = ("tests/browser/", "tests/distributed/", "tests/packaging/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``, these folders go to workers as whole as files do."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next(filter(nodeid.startswith, BY_ONE_WORKER), None) or super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Both runs of the demo. Not to be written to."""
    # Imported here, since it brings torch, which the viewing side is tested without.
    from tests.demo.trained import train_both

    return once(tmp_path_factory, "demo", train_both)
