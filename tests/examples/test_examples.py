"""Each example trains for a few steps in a process of its own, and what it recorded can be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tb_gradhealth.demo.model import GPT, GPTConfig

from .compare import assert_recorded

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = 12
TIMEOUT = 120
CLASSIFIER = {f"{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")}


@dataclass(frozen=True)
class Example:
    """``tensors`` are the names that the run must have, as the model itself has them."""

    tensors: set[str]
    processes: int = 1
    libraries: tuple[str, ...] = ("sklearn",)


BLOCKS = {name for name, _ in GPT(GPTConfig(vocabulary=9, width=8, layers=2)).named_parameters()}
ALL = {
    "plain": Example(CLASSIFIER),
    "amp": Example(CLASSIFIER),
    "ddp": Example(CLASSIFIER, processes=2),
    "fsdp2": Example(BLOCKS, processes=2, libraries=()),
    "accelerate_loop": Example(CLASSIFIER, libraries=("accelerate", "sklearn")),
    "lightning_module": Example({f"net.{name}" for name in CLASSIFIER}, libraries=("pytorch_lightning", "sklearn")),
    "hf_trainer": Example(
        {"lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"}
        | {
            f"model.layers.{layer}.{name}.weight"
            for layer in (0, 1)
            for name in (
                *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "input_layernorm"),
                *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "post_attention_layernorm"),
            )
        },
        libraries=("transformers", "accelerate"),
    ),
}


def start(name: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of an example, which is killed with all its processes when it takes too long."""
    processes = ALL[name].processes
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    with subprocess.Popen(
        [sys.executable, *launcher, str(EXAMPLES / f"{name}.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out, err


def test_there_is_a_test_for_each_example() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == ALL.keys() | {"shared"}


@pytest.mark.parametrize("name", ALL)
def test_an_example_records_each_step_of_each_tensor(tmp_path: Path, name: str) -> None:
    for library in ALL[name].libraries:
        pytest.importorskip(library)
    code, out, err = start(name, "--steps", str(STEPS), "--logdir", str(tmp_path / "run"))
    assert code == 0, err
    assert f"The run is in {tmp_path / 'run'}" in out
    assert "GradHealthWarning" not in err
    assert_recorded(tmp_path / "run", STEPS, ALL[name].tensors)


def test_help_says_what_an_example_shows() -> None:
    pytest.importorskip("sklearn")
    _, said, _ = start("plain", "--help")
    assert "A plain PyTorch loop" in said
    assert "--logdir" in said
    assert "--steps" in said
