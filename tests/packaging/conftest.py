"""Distributions built once from a copy of the checkout, and environments that hold only what a test puts there.

All of it works without a network: what an environment needs is linked from the one that runs the tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
VIEWING = ("tensorboard", "numpy", "google-crc32c", *(("tomli",) if sys.version_info < (3, 11) else ()))


def command(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Standard output of a command. Fails with all that it said."""
    done = subprocess.run(list(map(str, arguments)), cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's files without what tools left there, which setuptools would pick up."""
    return copy(ROOT, tmp_path_factory.mktemp("source") / "tb_gradhealth")


def copy(source: Path, to: Path) -> Path:
    left = (".git", ".venv", "node_modules", "build", "dist", "runs", "*.egg-info", "__pycache__", ".*_cache")
    return shutil.copytree(source, to, ignore=shutil.ignore_patterns(*left, ".hypothesis"))


def build(kind: str, source: Path, out: Path) -> Path:
    """An sdist or a wheel, built from a copy, because setuptools leaves files where it builds."""
    tree = copy(source, out / "tree")
    command(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", out / "built", tree)
    (built,) = (out / "built").iterdir()
    return built


@pytest.fixture(scope="session")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


def closure(names: Sequence[str]) -> dict[str, metadata.Distribution]:
    """The distributions of these names and all that they require here, from the running environment."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name.lower() in found:
            continue
        found[name.lower()] = metadata.distribution(name)
        wanted = map(Requirement, found[name.lower()].requires or ())
        waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


class Environment:
    """A virtual environment without pip, with links to the distributions ``names`` and what these require."""

    def __init__(self, directory: Path, names: Sequence[str] = VIEWING) -> None:
        venv.create(directory, symlinks=True)
        self.python = directory / "bin" / "python"
        self.packages = Path(self.run("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        for distribution in closure(names).values():
            for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
                link = self.packages / top
                if not link.exists():
                    link.symlink_to(Path(str(distribution.locate_file(top))))

    def run(self, code: str) -> str:
        """Standard output of Python code, run away from the checkout and its PYTHONPATH."""
        return command(self.python, "-I", "-c", code, cwd=self.python.parent)

    def install(self, *arguments: str | Path) -> None:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python)
        command(*pip, "install", "--no-index", "--no-deps", "--no-build-isolation", *arguments)
