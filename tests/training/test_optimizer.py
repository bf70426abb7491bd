import copy
import subprocess
import sys

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.models import build_model
from handsigns.training.optimizer import WARMUP_FRACTION, Optimizer, schedule_factor


def test_one_cycle_rises_to_its_peak_and_falls():
    values = [schedule_factor("one_cycle", step / 1000) for step in range(1000)]
    peak = int(1000 * WARMUP_FRACTION)
    assert values[0] == pytest.approx(1 / 25)
    assert values[peak] == pytest.approx(1.0)
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert values[-1] < 0.01


def test_cosine_decays_and_constant_stays():
    values = [schedule_factor("cosine", step / 100) for step in range(100)]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.01
    assert {schedule_factor("constant", step / 10) for step in range(10)} == {1.0}


def reference(config, model):
    """Return the torch.optim optimiser of the same configuration."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    options = {"lr": torch.tensor(config.learning_rate), "fused": True}
    if config.optimizer == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, momentum=config.momentum, nesterov=nesterov, **options)
    adam = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return adam(groups, betas=(config.momentum, 0.999), **options)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_updates_equal_torch_optim(optimizer, momentum):
    config = TrialConfig(
        optimizer=optimizer, momentum=momentum, weight_decay=0.1, learning_rate=0.05
    )
    torch.manual_seed(0)
    model = build_model(config, 6, 16)
    expected_model = copy.deepcopy(model)
    optimizer_under_test = Optimizer(config, model.parameters())
    torch_optimizer = reference(config, expected_model)
    for _ in range(4):
        images = torch.randn(8, 3, 16, 16)
        for network in (model, expected_model):
            network.train(False)  # without dropout, which would differ
            network.zero_grad()
            network(images).square().mean().backward()
        optimizer_under_test.step(torch.tensor(config.learning_rate))
        torch_optimizer.step()
    for actual, expected in zip(model.parameters(), expected_model.parameters(), strict=True):
        assert torch.equal(actual, expected)


def test_biases_and_norms_are_not_decayed():
    config = TrialConfig(weight_decay=0.5, optimizer="sgd", momentum=0.0)
    model = build_model(config, 6, 16)
    before = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    Optimizer(config, model.parameters()).step(torch.tensor(0.1))
    for updated, initial in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(updated, initial) == (updated.ndim <= 1)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_missing_gradient_counts_as_zero(optimizer):
    config = TrialConfig(optimizer=optimizer, weight_decay=0.1)
    missing, zero = (torch.nn.Linear(2, 2) for _ in range(2))
    zero.load_state_dict(missing.state_dict())
    missing.weight.grad, zero.weight.grad = torch.ones(2, 2), torch.ones(2, 2)
    zero.bias.grad = torch.zeros(2)
    for model in (missing, zero):
        Optimizer(config, model.parameters()).step(torch.tensor(0.1))
    assert torch.equal(missing.weight, zero.weight)
    assert torch.equal(missing.bias, zero.bias)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_does_not_load_the_compiler(optimizer):
    """Loading torch's compiler takes seconds, in every process of a search."""
    code = f"""
import sys, torch
from handsigns.config.hyperparameters import TrialConfig
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.step import EpochTrainer
config = TrialConfig(optimizer="{optimizer}", gradient_clip=1.0, channel_width=4)
state = init_state(TrainingPlan(config, 3, 16, 1, 0, torch.device("cpu")))
images, labels = torch.zeros(4, 16, 16, 3, dtype=torch.uint8), torch.zeros(4).long()
EpochTrainer(state, images, labels).train_epoch(1)
heavy = [name for name in ("torch._dynamo", "sympy", "torchvision") if name in sys.modules]
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=900)
