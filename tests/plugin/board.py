"""A real TensorBoard in this process, a client for it, and a decoder of tiles that shares nothing with the plugin."""

from __future__ import annotations

import gzip
import json
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard import default, program
from tensorboard.data.server_ingester import SubprocessServerDataIngester

from tb_gradhealth.plugin.loader import GradHealthLoader

SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Board:
    """TensorBoard over ``logdir``; paths of :meth:`get` are those of ``http_api.md``."""

    def __init__(self, logdir: Path, fast: str, *arguments: str) -> None:
        self._board = program.TensorBoard(plugins=[*default.get_static_plugins(), GradHealthLoader])
        argv = ["", "--logdir", str(logdir), "--port", "0", f"--load_fast={fast}", "--reload_interval", "1", *arguments]
        self._board.configure(argv=argv)
        self.url = self._board.launch()
        weakref.finalize(self, _stop_reading, self._board._ingester)

    def get(self, path: str, accept: str = "gzip", root: str = "data/plugin/gradhealth/", **query: Any) -> Answer:
        url = self.url + root + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = urllib.request.Request(url, headers={"Accept-Encoding": accept})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                status, headers, body = response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, dict(error.headers), error.read()
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return Answer(status, headers, body)

    def runs(self) -> dict[str, dict[str, Any]]:
        return {run["name"]: run for run in self.get("runs").json["runs"]}

    def wait(self, condition: Callable[[Board], bool]) -> None:
        """Until TensorBoard has read as much as ``condition`` asks for."""
        deadline = time.monotonic() + SECONDS
        while not condition(self):
            assert time.monotonic() < deadline, f"waited too long: {self.runs()}"
            time.sleep(0.05)

    def tile(self, run: str, metric: str, view: str, tile_id: str, stream: str = "gradients") -> Tile:
        answer = self.get("tiles", run=run, stream=stream, metric=metric, view=view, ids=tile_id)
        assert answer.status == 200, answer.body
        (tile,) = tiles(answer.body)
        return tile


def _stop_reading(ingester: Any) -> None:
    """TensorBoard itself reads on for as long as the process lives, its fast server without a pause where it is asked
    for intervals below a second."""
    if isinstance(ingester, SubprocessServerDataIngester):
        ingester._stdin_handle.close()
    else:
        ingester._reload_interval = 0


@dataclass(frozen=True)
class Tile:
    folded: bool
    level: int
    rows: int
    r: int
    c: int
    columns: int
    revision: int
    values: npt.NDArray[np.float64]  # [64, 512], unfolded, NaN for no data
    flags: npt.NDArray[np.uint8]  # [64, 512]


TILE_BYTES = 24 + 65_536 + 32_768


def tiles(body: bytes) -> list[Tile]:
    """The tiles of a body, decoded from the words of ``http_api.md``."""
    assert len(body) % TILE_BYTES == 0
    found = []
    for at in range(0, len(body), TILE_BYTES):
        magic, encoding, level, rows, r, c, columns, revision = struct.unpack_from("<4sBBHIIII", body, at)
        assert magic == b"GHT1"
        low = body[at + 24 : at + 24 + 32_768]
        high = body[at + 24 + 32_768 : at + 24 + 65_536]
        words = np.zeros((64 * 512, 4), np.uint8)
        words[:, 2], words[:, 3] = np.frombuffer(low, np.uint8), np.frombuffer(high, np.uint8)
        values = words.reshape(-1).view("<f4").astype(np.float64).reshape(64, 512)
        if encoding == 1:
            values = np.where(np.signbit(values), 1 + values, values)
        flags = np.frombuffer(body, np.uint8, 32_768, at + 24 + 65_536).reshape(64, 512)
        found.append(Tile(encoding == 1, level, rows, r, c, columns, revision, values, flags))
    return found
