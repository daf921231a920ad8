"""The Trainer of Hugging Face: schedule, accumulation, scaler and checkpoints do what they do without us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tests.writer.loops import timeline

from .compare import Training, assert_recorded, assert_same, spoil

transformers = pytest.importorskip("transformers")

from tb_gradhealth.integrations.transformers import GradHealthCallback  # noqa: E402

STEPS = 6


def trainer(output: Path, steps: int = STEPS, scaled: str = "", model: Any = None, **options: Any) -> Any:
    transformers.set_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    tokens = torch.randint(16, (64, 8), generator=torch.Generator().manual_seed(1))
    made = transformers.Trainer(
        model or transformers.LlamaForCausalLM(config),
        transformers.TrainingArguments(
            output_dir=str(output),
            max_steps=steps,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            optim=scaled or "adamw_torch_fused",
            max_grad_norm=0.0 if scaled else 0.5,
            learning_rate=1e-2,
            logging_steps=1,
            save_strategy="steps",
            save_steps=4,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=[{"input_ids": sample, "labels": sample} for sample in tokens],
        **options,
    )
    if scaled:  # Accelerate makes one only where there is a GPU
        made.accelerator.scaler = torch.amp.GradScaler("cpu")
        spoil(made.model.lm_head.weight, {0, 5})
    return made


class Skips(transformers.TrainerCallback):  # type: ignore[misc]
    """Whether each step was skipped."""

    def __init__(self, done: Training) -> None:
        self.done = done

    def on_optimizer_step(self, *_: Any, optimizer: Any, **__: Any) -> None:
        self.done.skipped.append(optimizer.step_was_skipped)


def train(tmp_path: Path, way: str, scaled: str = "") -> Training:
    done = Training()
    output = tmp_path / way
    with done.observed():
        callbacks: list[Any] = [Skips(done)]
        if way == "callback":
            callbacks.append(GradHealthCallback(every=1))
        made = trainer(output, scaled=scaled, callbacks=callbacks)
        if way == "line":
            made.optimizer = GradHealthWriter(made.create_optimizer(), made.model, logdir=output, every=1)
        made.train()
        done.losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
        done.rates = [entry["learning_rate"] for entry in made.state.log_history if "loss" in entry]
        done.keep(made.model)
        if way == "line":
            made.optimizer.optimizer.gradhealth.close()
    return done


@pytest.mark.parametrize("way", ["line", "callback"])
def test_training_is_the_same(tmp_path: Path, way: str) -> None:
    done = assert_same(lambda watch: train(tmp_path, way if watch else "no"))
    assert done.error is None
    assert len(done.losses) == STEPS
    assert_recorded(tmp_path / way, STEPS)


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused"])
def test_the_schedule_at_skipped_steps_is_what_it_is_without_us(tmp_path: Path, optimizer: str) -> None:
    done = assert_same(lambda watch: train(tmp_path, "callback" if watch else "no", scaled=optimizer))
    assert done.error is None
    # A fused optimizer skips inside its own step, which Accelerate does not see.
    assert done.skipped == [optimizer == "adamw_torch" and step in (0, 2) for step in range(STEPS)]
    assert timeline(tmp_path / "callback").end == STEPS


def test_an_optimizer_given_to_the_trainer_may_be_watched(tmp_path: Path) -> None:
    model = trainer(tmp_path).model
    watched: Any = GradHealthWriter(torch.optim.AdamW(model.parameters()), model, logdir=tmp_path, every=1)
    trainer(tmp_path, model=model, optimizers=(watched, None)).train()
    watched.gradhealth.close()
    assert_recorded(tmp_path, STEPS)


def test_a_checkpoint_continues_the_step_axis(tmp_path: Path) -> None:
    trainer(tmp_path, steps=5, callbacks=[GradHealthCallback(every=1)]).train()
    trainer(tmp_path, callbacks=[GradHealthCallback(every=1)]).train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-4")
    )
    history = timeline(tmp_path)
    assert [session.schema.start_step for session in history.sessions] == [0, 4]
    assert_recorded(tmp_path, STEPS)


def test_a_trainer_may_train_again(tmp_path: Path) -> None:
    made = trainer(tmp_path, callbacks=[GradHealthCallback(every=1)])
    made.train()
    made.train()
    assert_recorded(tmp_path, STEPS)
