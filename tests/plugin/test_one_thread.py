"""The thread that works for all requests: one at a time, in order, and nothing that keeps TensorBoard from ending."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tb_gradhealth.plugin.one_thread import OneThread

HANGS = """
import threading
from types import SimpleNamespace
from werkzeug.test import Client
from tb_gradhealth.plugin.routes import GradHealthPlugin

begun = threading.Event()

class Provider:
    def list_tensors(self, *args, **kwargs):
        begun.set()
        threading.Event().wait()  # a mount that is gone

apps = GradHealthPlugin(SimpleNamespace(data_provider=Provider(), logdir=None)).get_plugin_apps()
for path in ("/meta", "/alerts"):
    begun.clear()
    threading.Thread(target=Client(apps[path]).get, args=("/?run=x",), daemon=True).start()
    assert begun.wait(60)
print("ends")
"""


def test_a_process_ends_while_requests_hang() -> None:
    run = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.returncode) == ("ends\n", 0), run.stderr


def test_it_does_one_thing_at_a_time() -> None:
    one, inside, most = OneThread("test"), [0], [0]
    names = set[str]()

    def work(number: int) -> int:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        names.add(threading.current_thread().name)
        inside[0] -= 1
        return number * number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: one.do(lambda: work(number)), range(200))) == [n * n for n in range(200)]
    assert (most, names) == ([1], {"test"})


def test_what_is_raised_goes_to_who_asked_and_costs_no_other() -> None:
    one = OneThread("test")
    for wrong in (KeyError, SystemExit):
        with pytest.raises(wrong):
            one.do(lambda wrong=wrong: (_ for _ in ()).throw(wrong("no")))
        assert one.do(lambda: 3) == 3
