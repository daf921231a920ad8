"""Data flows one way: kernels know nothing of us, and right of the event file there is neither torch nor triton."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gradhealth_kernels
import tb_gradhealth

ROOT = Path(tb_gradhealth.__file__).parent
KERNELS = Path(gradhealth_kernels.__file__).parent


def imported(path: Path) -> set[str]:
    """First components of what a file imports, at any depth of it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda path: path.name)
def test_kernels_do_not_import_us(path: Path) -> None:
    assert not imported(path) & {"tb_gradhealth", "tensorboard"}


@pytest.mark.parametrize("name", ["statistics", "metrics"])
def test_the_tables_need_numpy_alone(name: str) -> None:
    outside = imported(KERNELS / f"{name}.py") - set(sys.stdlib_module_names)
    assert outside <= {"numpy"}


BLOCKED = """
import sys
sys.modules["torch"] = sys.modules["triton"] = None  # importing them raises
import importlib, pathlib
for name in sys.argv[2:]:
    importlib.import_module(name)
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run
run = Run()
run.update(FileSource(pathlib.Path(sys.argv[1])))
print(run.timeline("gradients").end)
"""


def test_everything_right_of_the_event_file_works_without_torch() -> None:
    names = [
        ".".join(["tb_gradhealth", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
        for folder in ("store", "plugin", "reading", "diagnosis", "diagnosis/rules", "report", "comparing", "cli")
        for path in sorted((ROOT / folder).glob("*.py"))
    ]
    assert "tb_gradhealth.plugin.routes" in names
    names += [f"tb_gradhealth.{name}" for name in ("nodes", "notes", "rows")]
    fixture = str(Path(__file__).parent / "fixtures" / "v1")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BLOCKED, fixture, *names]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "32\n"), done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, tb_gradhealth; print(sorted({'torch', 'triton', 'numpy', 'tensorboard'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"
