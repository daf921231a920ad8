"""The runs that the plugin's tests look at, sound and otherwise."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR
from tensorboard.compat.proto.types_pb2 import DT_STRING, DT_UINT8

from gradhealth_kernels.metrics import select
from tb_gradhealth.store.format import Tag, metadata
from tb_gradhealth.store.records import EventFile, read_events

from ..synthetic import NAMES, SESSION, Recording, gradients, measured, recorded
from .board import Board

HOSTILE_RUN = "a&b <i>'é' 100%"
HOSTILE_NAMES = (
    "<script>alert(1)</script>.w",
    "../../etc/passwd",
    "é.日本",
    "x" * 3000,
    "__proto__.constructor",
    "a\nb",
)
LONG_ROWS = 1500
PLANTED = 1234  # step of the long run with a norm of 1e6 in tensor "b"


def good() -> Recording:
    """237 steps with a NaN, both infinities, zeros, and a tensor without gradient for five steps."""
    elements = gradients(237, len(NAMES))
    elements[123, 1, 2], elements[57, 3, 0], elements[58, 3, 1] = np.nan, np.inf, -np.inf
    elements[:, 5, :4] = 0
    entries = measured(elements)
    entries[31:36, 2] = 0
    return Recording(entries, logged={0: [("loss", 2.0)]})


def long() -> Recording:
    """A row a step: more than TensorBoard's 10 and its data server's 1,000 samples."""
    entries = np.tile(recorded(100, 2), (LONG_ROWS // 100, 1))
    entries["sum_sq"][PLANTED, 1] = 1e12
    return Recording(entries, names=("a", "b"), every=1, block=1, chosen=select(["norm"]))


def write(logdir: Path) -> Path:
    good().write(logdir / "good" / "gradhealth")
    long().write(logdir / "long" / "gradhealth")
    Recording(recorded(20, len(HOSTILE_NAMES)), names=HOSTILE_NAMES).write(logdir / HOSTILE_RUN / "gradhealth")
    small = Recording(recorded(60))
    small.write(logdir / "gradhealth")
    small.again(start=40, session="f" * 16, wall_time=1.8e9).write(logdir / "restarted" / "gradhealth")
    small.write(logdir / "restarted" / "gradhealth")

    torn = small.write(logdir / "torn" / "gradhealth")
    torn.write_bytes(torn.read_bytes()[:-100])
    waiting = small.write(logdir / "waiting" / "gradhealth")
    waiting.write_bytes(waiting.read_bytes()[: list(read_events(waiting))[1][1]])

    rewrite(logdir / "future", small, lambda tag: (metadata(0, 0.0).replace(b'"format": 2', b'"format": 3'), None))
    damaged_row = b"GHRG" + bytes(60)
    # The second row, and the coarser one, which would stand in for it.
    rewrite(logdir / "damaged", small, lambda tag: (None, damaged_row if tag.level is not None else None), only=(3, 8))
    flipped = small.write(logdir / "flipped" / "gradhealth")
    data = bytearray(flipped.read_bytes())
    data[list(read_events(flipped))[4][1] + 40] ^= 1  # in the data of the fourth row
    flipped.write_bytes(data)
    scalars(logdir / "plain")
    scalars(logdir / "good")  # the user's own event file, above ours
    strange(logdir / "strange" / "gradhealth")
    return logdir


def rewrite(run: Path, recording: Recording, change: object, only: Sequence[int] = range(100)) -> None:
    """The recording's file again, with metadata or data of our values changed, those of some events of the file."""
    made = recording.write(run / "made")
    file = EventFile(run / "gradhealth", SESSION)
    for number, (event, _) in enumerate(read_events(made)):
        assert event is not None
        for value in event.summary.value:
            if value.tag.startswith("gradhealth/") and number in only:
                about, data = change(Tag.parse(value.tag))  # type: ignore[operator]
                if about is not None:
                    value.metadata.plugin_data.content = about
                if data is not None:
                    value.tensor.tensor_content = data
                    value.tensor.tensor_shape.dim[0].size = len(data)
        if not event.file_version:
            file.append(event)
    file.close()
    made.unlink()
    made.parent.rmdir()


def scalars(run: Path) -> None:
    """A run that TensorBoard lists and that has nothing of ours."""
    file = EventFile(run, SESSION)
    for step in range(3):
        event = Event(step=step)
        event.summary.value.add(tag="loss", simple_value=float(step))
        file.append(event)
    file.close()


def strange(run: Path) -> None:
    """Rows that are no uint8 vector: text, and a shape that does not fit its data; then a sound session."""
    file = EventFile(run, "00000000")
    for number, event in enumerate(_strange_events()):
        value = event.summary.value[0]
        value.tag = str(Tag("00000000", "gradients", 0, number))
        value.metadata.plugin_data.plugin_name, value.metadata.data_class = "gradhealth", DATA_CLASS_TENSOR
        value.metadata.plugin_data.content = metadata(0, 0.0)
        file.append(event)
    schema = Event(step=0)
    value = schema.summary.value.add(tag=str(Tag("00000000", "gradients")))
    value.metadata.plugin_data.plugin_name, value.metadata.data_class = "gradhealth", DATA_CLASS_TENSOR
    value.metadata.plugin_data.content = metadata(0, 0.0)
    data = Recording(recorded(1), session="00000000").schema.encode()
    value.tensor.dtype, value.tensor.tensor_content = DT_UINT8, data
    value.tensor.tensor_shape.dim.add(size=len(data))
    file.append(schema)
    file.close()
    Recording(recorded(60), wall_time=1.8e9).write(run)


def _strange_events() -> Iterator[Event]:
    text = Event(step=9)
    value = text.summary.value.add()
    value.tensor.dtype = DT_STRING
    value.tensor.string_val.append(b"text")
    value.tensor.tensor_shape.dim.add(size=1)
    yield text
    unfit = Event(step=9)
    value = unfit.summary.value.add()
    value.tensor.dtype, value.tensor.tensor_content = DT_UINT8, struct.pack("<4s", b"GHRW")
    value.tensor.tensor_shape.dim.add(size=1 << 20)
    yield unfit


def all_read(board: Board) -> bool:
    """Whether TensorBoard has come to the end of every run."""
    runs = board.runs()
    names = ("good", "long", "restarted", "torn", "strange", "future", "damaged", "flipped", HOSTILE_RUN)
    if not all(f"{name}/gradhealth" in runs for name in names) or "plain" not in runs:
        return False
    last = {
        "good/gradhealth": 237,
        "long/gradhealth": LONG_ROWS,
        "restarted/gradhealth": 100,
        "torn/gradhealth": 50,
        "strange/gradhealth": 60,
        "flipped/gradhealth": 30,
    }
    metas = {name: board.get("meta", run=name) for name in last}
    return all(answer.status == 200 and answer.json["steps"][1] >= last[name] for name, answer in metas.items())
