"""What a wheel and an sdist hold."""

from __future__ import annotations

import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

from .conftest import build

pytestmark = pytest.mark.packaging

STATIC = "tb_gradhealth/plugin/static"


def contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files(source: Path, folder: str) -> dict[str, bytes]:
    """Name below ``folder`` → bytes."""
    root = source / folder
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def packed(wheel: Path) -> dict[str, bytes]:
    return contents(wheel)


def test_a_wheel_has_two_packages_and_no_top_level_kernels(packed: dict[str, bytes]) -> None:
    tops = {name.partition("/")[0] for name in packed}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tb_gradhealth", "gradhealth_kernels"}


@pytest.mark.parametrize(
    ("folder", "package"),
    [("tb_gradhealth", "tb_gradhealth"), ("kernels/gradhealth_kernels", "gradhealth_kernels")],
)
def test_a_wheel_has_each_file_of_each_package(
    packed: dict[str, bytes], source: Path, folder: str, package: str
) -> None:
    assert {
        name.removeprefix(f"{package}/"): data for name, data in packed.items() if name.startswith(f"{package}/")
    } == files(source, folder)


def test_a_wheel_has_the_front_end_its_contract_and_the_type_markers(packed: dict[str, bytes]) -> None:
    wanted = {
        f"{STATIC}/index.js",
        f"{STATIC}/THIRD_PARTY_LICENSES.txt",
        "tb_gradhealth/plugin/http_api.md",
        "tb_gradhealth/py.typed",
        "gradhealth_kernels/py.typed",
    }
    assert wanted <= packed.keys()


def test_metadata(packed: dict[str, bytes]) -> None:
    (name,) = (name for name in packed if name.endswith(".dist-info/METADATA"))
    about = message_from_bytes(packed[name])
    assert about["Name"] == "tb-gradhealth"
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.10"
    without_extra = {line.partition(";")[0] for line in about.get_all("Requires-Dist", ()) if "extra ==" not in line}
    assert not any(line.startswith(("torch", "triton")) for line in without_extra)
    entry_points = packed[name.replace("METADATA", "entry_points.txt")].decode()
    assert "[console_scripts]\ngradhealth = tb_gradhealth.cli.command:main" in entry_points
    assert "[tensorboard_plugins]\ngradhealth = tb_gradhealth.plugin.loader:GradHealthLoader" in entry_points
    licences = name.replace("METADATA", "licenses/")
    assert packed[f"{licences}LICENSE"].lstrip().startswith(b"Apache License")
    assert packed[f"{licences}{STATIC}/THIRD_PARTY_LICENSES.txt"] == packed[f"{STATIC}/THIRD_PARTY_LICENSES.txt"]


def test_an_sdist_has_what_a_checkout_has(sdist: Path, source: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    folders = ["tb_gradhealth", "kernels", "plugin_frontend", "tests", "bench", "docs", "examples", "requirements"]
    wanted = {f"{folder}/{name}" for folder in folders for name in files(source, folder)}
    wanted |= {"dev", "setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", ".ci/run"}
    wanted |= {path.name for path in source.glob("*.md")}
    assert sorted(wanted - names) == []
    assert {name.partition("/")[0] for name in names} - {path.name for path in source.iterdir()} == {
        "PKG-INFO",
        "setup.cfg",
        "tb_gradhealth.egg-info",
    }


def test_a_wheel_from_the_sdist_is_the_wheel_from_the_checkout(
    sdist: Path, packed: dict[str, bytes], tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = contents(build("wheel", unpacked, tmp_path / "again"))
    assert again.keys() == packed.keys()
    assert [name for name in packed if again[name] != packed[name]] == []
