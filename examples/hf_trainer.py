"""The Trainer of Hugging Face transformers. ``python examples/hf_trainer.py``, or ``torchrun`` with the same.

The Trainer builds its optimizer itself, so the line is a callback. The model is a tiny Llama made from a configuration;
nothing is downloaded. ``train(resume_from_checkpoint=True)`` continues the run at the checkpoint's step.
"""

from __future__ import annotations

import torch
from shared import options, say_where, text
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

from tb_gradhealth.integrations.transformers import GradHealthCallback

SEQUENCE = 32


def main() -> None:
    chosen = options("hf_trainer", steps=60)
    tokens, vocabulary = text(SEQUENCE)
    samples: list[dict[str, Tensor]] = [{"input_ids": sample, "labels": sample} for sample in tokens]
    set_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=SEQUENCE + 1,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    arguments = TrainingArguments(
        output_dir=chosen.logdir,
        max_steps=chosen.steps,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        learning_rate=1e-3,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=samples,
        callbacks=[GradHealthCallback(chosen.logdir)],  # the only line added
    )
    trainer.train()
    if trainer.is_world_process_zero():
        say_where(chosen.logdir)


if __name__ == "__main__":
    main()
