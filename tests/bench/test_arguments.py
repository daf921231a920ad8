"""``python -m bench COMMAND`` says at once what is wrong with an argument, not after what it measures."""

from __future__ import annotations

import pytest
import torch

from bench.__main__ import main

NO_FOLDER = ["--json", "no such folder/result.json"]
NO_FILE = "--json: expected a writable file, got 'no such folder/result.json'"
NO_GPU = "--device: expected a CUDA device that torch sees, got 'cuda'"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["boundary", *NO_FOLDER], NO_FILE),
        (["boundary", "--steps", "0"], "--steps: expected a whole number from 1 on, got '0'"),
        (["tune", "--device", "cpu", *NO_FOLDER], NO_FILE),
        (["tune"], NO_GPU),
        (["tune", "--device", "cpu", "--repeats", "0"], "--repeats: expected a whole number from 1 on, got '0'"),
        (["fuzz", "--cases", "-3"], "--cases: expected a whole number from 1 on, got '-3'"),
        (["fuzz", "--batch", "0"], "--batch: expected a whole number from 1 on, got '0'"),
        (["fuzz", "--device", "cuda"], NO_GPU),
        (["overhead", *NO_FOLDER], NO_FILE),
        (["overhead", "--device", "cuda"], NO_GPU),
        (["overhead", "--pairs", "1"], "--pairs: expected a whole number from 2 on, got '1'"),
        (["overhead", "--steps", "0"], "--steps: expected a whole number from 1 on, got '0'"),
        (["overhead", "--contender", "nothing"], "every=100"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""
