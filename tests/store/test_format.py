"""What is written reads back: tags, metadata, schema and rows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradhealth_kernels.metrics import select
from tb_gradhealth.rows import NEVER, Rows
from tb_gradhealth.store.format import FormatError, Schema, Tag, check_metadata, metadata
from tb_gradhealth.store.rowgroup import RowGroup, code, encode
from tb_gradhealth.store.scalars import Scalar

from ..synthetic import NAMES, Recording, gradients, measured, recorded
from .written import Written, rows_of


def eventful() -> Recording:
    """30 steps with a NaN, an infinity, and a tensor without gradient for a while."""
    elements = gradients(30, len(NAMES))
    elements[13, 1, 2], elements[14, 3, 0] = np.nan, -np.inf
    entries = measured(elements)
    entries[4:9, 2] = 0
    return Recording(entries, logged={0: [("loss", 2.0)], 7: [("loss", 4.0), ("lr", 0.1)]})


def test_rows_read_back_as_they_were_written() -> None:
    recording = eventful()
    schema = recording.schema
    for pending, data in zip(recording.rows(), recording.payloads(), strict=True):
        rows = pending.rows
        (written,) = rows_of(RowGroup.of(data, schema), schema)
        assert (written.start, written.stop, written.level) == (rows.start[0], rows.stop[0], 0)
        assert written.recorded == rows.recorded[0]
        assert np.array_equal(written.steps, np.stack([rows.steps[0], rows.finite_steps[0], rows.first_bad[0]]))
        assert np.array_equal(written.counts, rows.counts[:, 0])
        assert written.scalars == pending.scalars
        check_metrics(written, rows, schema)


def check_metrics(written: Written, rows: Rows, schema: Schema) -> None:
    for position, metric in enumerate(schema.metrics):
        over = written.steps[0 if metric.over == "all" else 1]
        mean, least, most = written.metrics[metric.name]
        assert np.array_equal(np.isnan(mean), over == 0), metric.name
        assert np.array_equal(np.isnan(most), over == 0), metric.name
        has = over > 0
        for got, true in (
            (mean, rows.sum[position, 0][has] / over[has]),
            (least, rows.min[position, 0][has]),
            (most, rows.max[position, 0][has]),
        ):
            error = np.abs(got[has] - true)
            if metric.kind == "fraction":
                assert (error <= 0.0005 * np.minimum(true, 1 - true)).all(), metric.name
            else:
                tolerance = {"magnitude": 0.0018, "signed": 0.000123, "count": 0.0}[metric.kind]
                assert (error <= tolerance * np.abs(true)).all(), metric.name


def test_the_rows_of_the_test_above_have_what_it_is_about() -> None:
    schema = eventful().schema
    rows = [row for data in eventful().payloads() for row in rows_of(RowGroup.of(data, schema), schema)]
    assert [row.steps[2][0] for row in rows] == [NEVER, 13, NEVER]
    assert any((row.steps[0] < 10).any() for row in rows)
    assert rows[0].scalars["loss"] == Scalar(2, 6.0, 2.0, 4.0)


def test_a_row_may_begin_late_and_be_long() -> None:
    recording = Recording(recorded(3, 1), names=("w",), start=2**61, every=10**6)
    (data,) = recording.payloads()
    assert RowGroup.of(data, recording.schema).table.tolist() == [(2**61, 2**61 + 3, 3, 0)]


def test_schema_and_metadata_read_back() -> None:
    schema = eventful().schema
    assert Schema.decode(schema.encode()) == schema
    check_metadata(metadata(7, 1.5))
    assert json.loads(metadata(7, 1.5)) == {"format": 2, "start_step": 7, "wall_time": 1.5}


def test_names_of_any_text_survive_the_schema() -> None:
    names = ("é.日本", "a\x00b", "<script>", "\ud800", "x" * 5000)
    recording = Recording(recorded(1, len(names)), names=names)
    assert Schema.decode(recording.schema.encode()).nodes == recording.schema.nodes


def test_fields_that_a_later_minor_version_may_add_are_skipped() -> None:
    schema = eventful().schema
    content = json.loads(zlib.decompress(schema.encode()))
    content["added"] = {"x": 1}
    content["nodes"][1]["added"] = content["metrics"][0]["added"] = "y"
    assert Schema.decode(zlib.compress(json.dumps(content).encode())) == schema


@pytest.mark.parametrize("tag", [Tag("0123abcd", "gradients"), Tag("f" * 32, "weights_2", 3, 999_999_999)])
def test_tags_read_back(tag: Tag) -> None:
    assert Tag.parse(str(tag)) == tag


def test_tags_are_spelled_as_documented() -> None:
    assert str(Tag("0123abcd", "gradients")) == "gradhealth/0123abcd/gradients/schema"
    assert str(Tag("0123abcd", "gradients", 0, 12)) == "gradhealth/0123abcd/gradients/L0/12"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "loss",
        "gradhealth/0123abcd/gradients",
        "gradhealth/../../etc/schema",
        "gradhealth/0123abc/gradients/schema",  # 7 digits
        "gradhealth/0123ABCD/gradients/schema",
        "gradhealth/" + "0" * 33 + "/gradients/schema",
        "gradhealth/0123abcd/" + "g" * 65 + "/schema",
        "gradhealth/0123abcd/Gradients/L0/0",
        "gradhealth/0123abcd/gradients/L0/",
        "gradhealth/0123abcd/gradients/L0/-1",
        "gradhealth/0123abcd/gradients/L٣/٣",
        "gradhealth/0123abcd/gradients/schema\n",
        "gradhealth/0123abcd/gradients/schema/../x",
        "x" * 10**6,
    ],
)
def test_a_tag_that_is_not_ours_is_refused_without_repeating_it_at_length(text: str) -> None:
    with pytest.raises(FormatError, match="expected a tag") as caught:
        Tag.parse(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("version", [3, 0, -1, "1", None, "x" * 1000])
def test_an_unknown_version_is_named_with_what_to_do(version: Any) -> None:
    schema = json.loads(zlib.decompress(eventful().schema.encode()))
    packed = zlib.compress(json.dumps({**schema, "format": version}).encode())
    calls: tuple[Callable[[], object], ...] = (
        lambda: check_metadata(json.dumps({"format": version}).encode()),
        lambda: Schema.decode(packed),
    )
    for read in calls:
        with pytest.raises(FormatError, match=r"this one knows 1 to 2.*: upgrade tb-gradhealth") as caught:
            read()
        assert len(str(caught.value)) < 200


def test_schemas_and_metadata_of_version_1_are_read() -> None:
    schema = eventful().schema
    old = {**json.loads(zlib.decompress(schema.encode())), "format": 1}
    assert Schema.decode(zlib.compress(json.dumps(old).encode())) == schema
    check_metadata(metadata(0, 0.0).replace(b'"format": 2', b'"format": 1'))


def test_a_subset_of_the_metrics_is_enough() -> None:
    recording = replace(eventful(), chosen=select(["norm", "nonfinite"]))
    schema = Schema.decode(recording.schema.encode())
    (row,) = rows_of(RowGroup.of(recording.payloads()[1], schema), schema)
    assert list(row.metrics) == ["norm", "nonfinite"]
    assert row.metrics["nonfinite"][2].max() == 1


def test_scalars_beyond_their_room_are_dropped_and_the_row_stays() -> None:
    recording = eventful()
    row = recording.rows()[0]
    row.scalars = {f"{i:01000}": Scalar(1, 1.0, 1.0, 1.0) for i in range(2000)}
    data = encode([code(row, 0, recording.schema)], recording.schema)
    (written,) = rows_of(RowGroup.of(data, recording.schema), recording.schema)
    assert 900 < len(written.scalars) < 1100
    assert np.isfinite(written.metrics["norm"]).all()
