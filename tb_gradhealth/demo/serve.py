"""TensorBoard on a log directory, until Ctrl-C."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

WAIT_SECONDS = 60.0


def free_port(wanted: int) -> int:
    """``wanted`` if nothing listens there, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("localhost", port))
            except OSError:
                continue
            number: int = tried.getsockname()[1]
            return number
    raise OSError("expected a free port on localhost, found none: stop a server and try again")


def serve(logdir: Path, wanted_port: int) -> int:
    """Run TensorBoard until it ends or Ctrl-C (or SIGTERM) comes; returns the exit code for the shell."""
    port = free_port(wanted_port)
    if wanted_port not in (0, port):
        print(f"port {wanted_port} is taken, using {port}")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    # A closed terminal ends us like Ctrl-C does: the child, in a session of its own, would outlive it.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    # In a session of its own, so that Ctrl-C comes to us alone and we end it in order.
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        if not _answers(f"http://localhost:{port}/", child):
            assert child.stderr is not None
            print(f"TensorBoard did not start:\n{child.stderr.read().decode(errors='replace')}", file=sys.stderr)
            return 1
        print(f"\nTensorBoard: http://localhost:{port}/#gradhealth  (tab Grad Health; Ctrl-C ends it)", flush=True)
        child.communicate()
        return child.returncode
    except KeyboardInterrupt:
        print()
        return 0
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def _answers(url: str, child: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    # Without the environment's proxy, which does not reach this machine's own ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    child.terminate()
    return False
