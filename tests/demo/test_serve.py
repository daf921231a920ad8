"""Serving: a busy port is avoided, the page comes up, and every way to end it ends the child too."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tb_gradhealth.demo.serve import free_port

SERVE = """
import sys
from pathlib import Path
from tb_gradhealth.demo.serve import serve
sys.exit(serve(Path(sys.argv[1]), 0))
"""
ROOT = Path(__file__).parents[2]


def test_a_free_port_is_kept_and_a_busy_one_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_it_serves_until_told_to_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy that does not answer: this machine's own ports are asked directly.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'kernels'}")
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline() + process.stdout.readline()
            found = re.search(r"http://localhost:(\d+)/", said)
            assert found, said
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(found[0], timeout=30) as page:
                assert page.status == 200
            process.send_signal(getattr(signal, name))
            assert process.wait(30) == 0
        finally:
            process.terminate()
    with socket.socket() as left:
        assert left.connect_ex(("localhost", int(found[1]))) != 0
