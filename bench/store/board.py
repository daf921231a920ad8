"""A real TensorBoard over a recorded case: when it is ready, what it answers, and what memory it takes."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from .figure import WrongResult
from .memory import cpu, resident
from .screen import Extent, Tile

SECONDS = 120.0
PAUSE = 0.01
RUN = "run/gradhealth"


def fast_server() -> bool:
    """Whether TensorBoard's Rust server is installed."""
    try:
        import tensorboard_data_server
    except ImportError:
        return False
    return bool(tensorboard_data_server.server_binary())


class Board:
    """TensorBoard over ``logdir`` in a process of its own; ``fast``: with the Rust server."""

    def __init__(self, logdir: Path, fast: bool) -> None:
        self.began = time.perf_counter()
        arguments = ["--logdir", str(logdir), "--port", "0", f"--load_fast={str(fast).lower()}"]
        self._folder = tempfile.TemporaryDirectory()
        self._said = Path(self._folder.name, "output")
        with self._said.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tensorboard.main", *arguments], stdout=output, stderr=output
            )
        self.url = self._address()
        #: Seconds until it listened.
        self.listening = time.perf_counter() - self.began

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def ready(self, end: int) -> float:
        """Seconds from the start of the process until the whole run can be seen: its list entry, all of its steps, and
        a tile."""
        while True:
            runs = {run["name"]: run["status"] for run in self.json("runs")["runs"]}
            if runs.get(RUN) == "ok":
                meta = self.json("meta", run=RUN)
                if meta["steps"] == [0, end]:
                    self.tiles(extent(meta).first_screen[:1])
                    return time.perf_counter() - self.began
            if time.perf_counter() - self.began > SECONDS:
                raise WrongResult(f"TensorBoard did not show the steps [0, {end}) within {SECONDS:.0f} s, but {runs}")
            time.sleep(PAUSE)

    @property
    def memory(self) -> int:
        """Bytes resident, of the Rust server, too."""
        return resident(self._process.pid)

    @property
    def cpu(self) -> float:
        """Seconds that it computed until now, the Rust server included."""
        return cpu(self._process.pid)

    def json(self, path: str, **query: Any) -> Any:
        return json.loads(self._get(path, query))

    def tiles(self, wanted: list[Tile]) -> bytes:
        """Tiles of one metric and view."""
        ids = ",".join(f"{tile.level}.{tile.row}.{tile.column}" for tile in wanted)
        about = wanted[0]
        return self._get(
            "tiles", {"run": RUN, "stream": "gradients", "metric": about.metric, "view": about.view, "ids": ids}
        )

    def tags(self, plugin: str) -> dict[str, dict[str, Any]]:
        """Of another plugin, by run, as far as the server has read."""
        with urllib.request.urlopen(f"{self.url}data/plugin/{plugin}/tags", timeout=SECONDS) as response:
            found: dict[str, dict[str, Any]] = json.load(response)
        return found

    def _get(self, path: str, query: dict[str, Any]) -> bytes:
        url = f"{self.url}data/plugin/gradhealth/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                body: bytes = response.read()
                packed = response.headers.get("Content-Encoding") == "gzip"
        except urllib.error.HTTPError as error:
            said = error.read()
            said = gzip.decompress(said) if error.headers.get("Content-Encoding") == "gzip" else said
            raise WrongResult(
                f"TensorBoard answered {url} with {error.code} {said[:500]!r}: {self._output()}"
            ) from error
        return gzip.decompress(body) if packed else body

    def _address(self) -> str:
        """Where it listens, once it says so."""
        while time.perf_counter() - self.began < SECONDS and self._process.poll() is None:
            found = re.search(r"http://\S+:\d+/", self._output())
            if found:
                return found[0].replace("localhost", "127.0.0.1")
            time.sleep(PAUSE)
        raise WrongResult(f"TensorBoard did not start: {self._output()}")

    def _output(self) -> str:
        """What it said last."""
        return self._said.read_text(errors="replace")[-1000:]


def extent(meta: dict[str, Any]) -> Extent:
    return Extent(
        meta["steps"][1],
        meta["cell"],
        meta["levels"],
        len(meta["nodes"]["name"]),
        [metric["name"] for metric in meta["metrics"]],
        [view["name"] for view in meta["views"]],
    )
