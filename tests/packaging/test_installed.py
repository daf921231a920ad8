"""What an installation can do: view where torch is missing, say so where it is needed, be edited in place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import VIEWING, Environment, copy

pytestmark = pytest.mark.packaging

VIEW = """
import importlib, json, sys
for name in ("", ".store.reader", ".plugin.loader", ".plugin.routes"):
    importlib.import_module("tb_gradhealth" + name)
try:
    from tb_gradhealth import GradHealthWriter
except ImportError as error:
    said = str(error)
print(json.dumps({"said": said, "heavy": sorted({"torch", "triton"} & set(sys.modules))}))
"""

SERVE = """
import json, os, sys, tempfile, urllib.request
from tensorboard import default, program
board = program.TensorBoard(default.get_plugins())
board.configure(argv=["tensorboard", "--logdir", tempfile.mkdtemp(), "--port", "0", "--load_fast", "false"])
with urllib.request.urlopen(board.launch() + "data/plugins_listing", timeout=30) as answer:
    listing = json.load(answer)
print(json.dumps({"listing": listing, "heavy": sorted({"torch", "triton"} & set(sys.modules))}), flush=True)
os._exit(0)
"""

WHERE = """
import importlib.util, json
names = ("tb_gradhealth", "tb_gradhealth.plugin.loader", "gradhealth_kernels.statistics", "kernels", "torch")
print(json.dumps({name: spec and spec.origin for name in names for spec in [importlib.util.find_spec(name)]}))
"""


@pytest.fixture(scope="module")
def without_torch(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("viewing"))
    environment.install(wheel)
    return environment


def test_the_viewing_side_works_where_torch_is_not_installed(without_torch: Environment) -> None:
    where = json.loads(without_torch.run(WHERE))
    assert where["torch"] is None
    assert where["kernels"] is None
    answer = json.loads(without_torch.run(VIEW))
    assert answer["heavy"] == []
    assert answer["said"] == (
        "GradHealthWriter needs PyTorch, which is not installed in this environment: "
        "run `pip install 'tb-gradhealth[torch]'`. Viewing recorded runs in TensorBoard needs no PyTorch."
    )


def test_tensorboard_finds_and_loads_the_plugin_where_torch_is_not_installed(without_torch: Environment) -> None:
    answer = json.loads(without_torch.run(SERVE).splitlines()[-1])
    assert answer["listing"]["gradhealth"]["tab_name"] == "Grad Health"
    assert answer["heavy"] == []


def test_the_version_is_that_of_the_distribution(without_torch: Environment, wheel: Path) -> None:
    version = without_torch.run("import tb_gradhealth; print(tb_gradhealth.__version__)").strip()
    assert wheel.name.split("-")[1] == version


def test_an_editable_installation_imports_both_packages_from_the_checkout(source: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "editable", (*VIEWING, "setuptools"))
    source = copy(source, tmp_path / "checkout")
    environment.install("--editable", source)
    where = json.loads(environment.run(WHERE))
    assert where["kernels"] is None
    assert where["tb_gradhealth"] == str(source / "tb_gradhealth" / "__init__.py")
    assert where["tb_gradhealth.plugin.loader"] == str(source / "tb_gradhealth" / "plugin" / "loader.py")
    assert where["gradhealth_kernels.statistics"] == str(source / "kernels" / "gradhealth_kernels" / "statistics.py")
