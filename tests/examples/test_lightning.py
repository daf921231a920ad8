"""Lightning: its loop, precision plugin and checkpoints do what they do without us, with line and callback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tb_gradhealth import GradHealthWriter
from tests.writer.loops import Net, cells, timeline

from .compare import Training, assert_recorded, assert_same, spoil, tensors

pl = pytest.importorskip("pytorch_lightning")

from tb_gradhealth.integrations.lightning import GradHealthCallback  # noqa: E402

STEPS = 8
WAYS = ["line", "callback"]


class Module(pl.LightningModule):  # type: ignore[misc]
    def __init__(self, done: Training, kind: Any, watched_in: Path | None, **options: Any) -> None:
        super().__init__()
        self.net = Net()
        del self.net.unused
        self.done, self.kind, self.watched_in, self.options = done, kind, watched_in, options

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        (x,) = batch
        loss = (self.net(x) - x.sum(1, keepdim=True)).square().mean()
        self.done.losses.append(loss.item())
        self.done.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def on_train_start(self) -> None:
        if self.watched_in is not None:
            own: Any = self.optimizers(use_pl_optimizer=False)
            own.gradhealth.load_state_dict({"step": self.trainer.global_step})

    def configure_optimizers(self) -> Any:
        optimizer = self.kind(self.parameters(), lr=1e-2, **self.options)
        if self.watched_in is not None:
            GradHealthWriter(optimizer, self, logdir=self.watched_in, every=1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def data() -> DataLoader[Any]:
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(x), batch_size=8)


def trainer(tmp_path: Path, steps: int = STEPS, **options: Any) -> Any:
    return pl.Trainer(
        **{"max_steps": steps, "accelerator": "cpu", "logger": False, "enable_checkpointing": False, **options},
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def fit(tmp_path: Path, way: str, kind: Any = torch.optim.AdamW, scaled: bool = False, **options: Any) -> Training:
    """Train with the Trainer's ``options``; ``scaled`` is mixed precision, in which two steps are skipped."""
    done = Training()
    logdir = tmp_path / way
    fused = {"fused": True} if options.pop("fused", False) else {}
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
    if scaled:
        options["plugins"] = [pl.plugins.MixedPrecision("16-mixed", "cpu", scaler)]
    with done.observed():
        callbacks = [GradHealthCallback(logdir, every=1)] if way == "callback" else []
        module = Module(done, kind, logdir if way == "line" else None, **fused)
        spoil(module.net.head.weight, {1, 4} if scaled else set())
        trainer(tmp_path, callbacks=callbacks, **options).fit(module, data())
        done.keep(module.net)
        if way == "line":
            module.optimizers(use_pl_optimizer=False).gradhealth.close()
    done.scale = scaler.get_scale()
    return done


@pytest.mark.parametrize("way", WAYS)
def test_training_is_the_same(tmp_path: Path, way: str) -> None:
    options = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5}
    done = assert_same(lambda watch: fit(tmp_path, way if watch else "no", **options))
    assert done.error is None
    assert_recorded(tmp_path / way, STEPS)
    assert "net.head.weight" in tensors(timeline(tmp_path / way))


@pytest.mark.parametrize("way", WAYS)
def test_steps_that_the_scaler_skips_are_the_same(tmp_path: Path, way: str) -> None:
    done = assert_same(lambda watch: fit(tmp_path, way if watch else "no", scaled=True, gradient_clip_val=0.5))
    assert done.error is None
    assert done.scale == 1024.0 / 2**2
    assert timeline(tmp_path / way).end == STEPS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (torch.optim.AdamW, {"fused": True, "gradient_clip_val": 0.5}, "AdamW, does not allow for gradient clipping"),
        (torch.optim.LBFGS, {}, "AMP and the LBFGS optimizer are not compatible"),
    ],
    ids=["fused", "LBFGS"],
)
def test_errors_of_the_precision_plugin_are_the_same(
    tmp_path: Path, way: str, kind: Any, options: Any, said: str
) -> None:
    done = assert_same(lambda watch: fit(tmp_path, way if watch else "no", kind, scaled=True, **options))
    assert done.error is not None
    assert said in done.error[1]


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_continues_the_step_axis(tmp_path: Path, way: str) -> None:
    logdir = tmp_path / "run"
    for steps, checkpoint in ((5, None), (STEPS, tmp_path / "checkpoint")):
        made = trainer(tmp_path, steps, callbacks=[GradHealthCallback(logdir, every=1)] if way == "callback" else [])
        module = Module(Training(), torch.optim.AdamW, logdir if way == "line" else None)
        made.fit(module, data(), ckpt_path=checkpoint)
        made.save_checkpoint(tmp_path / "checkpoint")
        if way == "line":
            module.optimizers(use_pl_optimizer=False).gradhealth.close()
    assert [session.schema.start_step for session in timeline(logdir).sessions] == [0, 5]
    assert_recorded(logdir, STEPS)


def test_a_trainer_may_go_on(tmp_path: Path) -> None:
    made = trainer(tmp_path, 3, callbacks=[GradHealthCallback(tmp_path / "run", every=1)])
    module = Module(Training(), torch.optim.AdamW, None)
    made.fit(module, data())
    made.fit_loop.epoch_loop.max_steps = STEPS
    made.fit(module, data())
    assert_recorded(tmp_path / "run", STEPS)


def test_an_interrupted_training_gives_the_optimizer_back(tmp_path: Path) -> None:
    class Breaks(Module):
        def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
            if number == 3:
                raise RuntimeError("out of data")
            return super().training_step(batch, number)

    made = trainer(tmp_path, callbacks=[GradHealthCallback(tmp_path / "run", every=1)])
    module = Breaks(Training(), torch.optim.AdamW, None)
    with pytest.raises(RuntimeError, match="out of data"):
        made.fit(module, data())
    assert type(module.optimizers(use_pl_optimizer=False)) is torch.optim.AdamW
    assert_recorded(tmp_path / "run", 3)


def test_without_a_directory_the_run_is_where_the_logger_writes(tmp_path: Path) -> None:
    logger = pl.loggers.TensorBoardLogger(tmp_path, name="exp")
    trainer(tmp_path, logger=logger, callbacks=[GradHealthCallback()]).fit(
        Module(Training(), torch.optim.AdamW, None), data()
    )
    assert timeline(Path(logger.log_dir)).end == STEPS


class Two(Module):
    """Two optimizers, which Lightning leaves to the user to step."""

    automatic_optimization = False

    def training_step(self, batch: list[torch.Tensor], number: int) -> None:
        for index, optimizer in enumerate(self.optimizers()):
            if index == 0 or number % 2 == 0:
                optimizer.zero_grad()
                self.manual_backward(self.net(batch[0]).square().mean())
                optimizer.step()

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(part.parameters(), lr=0.01) for part in (self.net.body, self.net.head)]


def test_two_optimizers_are_recorded_on_one_step_axis(tmp_path: Path) -> None:
    callback = GradHealthCallback(tmp_path / "run", every=1)
    trainer(tmp_path, max_steps=-1, max_epochs=1, callbacks=[callback]).fit(Two(Training(), None, None), data())
    assert callback.state_dict() == {"step": 8}
    history = timeline(tmp_path / "run")
    assert history.end == 8
    assert np.isfinite(cells(history, "norm", "net.body.0.weight", 1)[0]).all()
    assert list(np.isfinite(cells(history, "norm", "net.head.weight", 1)[0])) == [True, False] * 4
