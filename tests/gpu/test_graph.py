"""Training as a CUDA graph: equal to eager training, repeatable, resumable."""

import copy
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode, UserModule
from handsigns.training import evaluate, step
from handsigns.training.checkpoint import dump_checkpoint, load_checkpoint
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs

pytestmark = pytest.mark.gpu

CONFIG = TrialConfig(channel_width=8, batch_size=16, dropout=0.3)


@pytest.fixture
def plan(cuda):
    return TrainingPlan(CONFIG, 3, 32, max_epochs=4, seed=7, device=cuda)


@pytest.fixture
def splits(make_split):
    return make_split(160, seed=1, size=32), make_split(48, seed=2, size=32)


def run(state, splits, epochs=4):
    """Return the metrics of the next epochs, without times."""
    metrics = islice(train_epochs(state, *splits), epochs)
    return [replace(one, epoch_seconds=0.0) for one in metrics]


@pytest.mark.parametrize("architecture", ["compact", "cs230", "torchvision/resnet18"])
def test_graph_and_eager_training_compute_the_same(plan, splits, monkeypatch, architecture):
    plan = replace(plan, config=CONFIG.model_copy(update={"architecture": architecture}))
    captured = init_state(plan)
    with_graph = run(captured, splits)
    assert captured.execution == "cuda graph"
    for module in (step, evaluate):
        monkeypatch.setattr(
            module, "GraphedFunction", lambda f, d, r="": Graphed(f, d, "for the test")
        )
    eager = init_state(plan)
    assert run(eager, splits) == with_graph
    assert eager.execution == "eager: for the test"
    for name, tensor in captured.eval_model.state_dict().items():
        assert torch.equal(tensor, eager.eval_model.state_dict()[name]), name


Graphed = step.GraphedFunction


def test_training_is_bit_for_bit_repeatable(plan, splits):
    first = init_state(plan)  # dropout draws from the generator of the process: one at a time
    expected = run(first, splits)
    second = init_state(plan)
    assert run(second, splits) == expected
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_resumed_training_is_bit_for_bit_identical(plan, splits):
    uninterrupted = run(init_state(plan), splits)
    interrupted = init_state(plan)
    before = run(interrupted, splits, epochs=2)
    saved = dump_checkpoint(interrupted)
    torch.rand(100, device=plan.device)  # random numbers of other trials must not matter
    resumed = load_checkpoint(saved, plan, "saved")
    assert before + run(resumed, splits) == uninterrupted


def execution_with_user_code(plan, splits, source, **functions):
    """Train with functions of the module `mine`; return how the steps ran."""
    user_code = UserCode({"mine": UserModule("mine", source, Path("mine.py"))})
    config = CONFIG.model_copy(update=functions)
    state = init_state(replace(plan, config=config, user_code=user_code))
    run(state, splits)
    return state.execution


def test_user_defined_networks_run_eagerly(plan, splits):
    source = (
        "import torch\n"
        "def net(config, classes, size):\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), "
        "torch.nn.Linear(3 * size**2, classes))\n"
    )
    execution = execution_with_user_code(plan, splits, source, architecture="mine:net")
    assert execution == "eager: user-defined network mine:net"


def test_user_defined_losses_may_call_what_autocast_forbids(plan, splits):
    source = (
        "import torch.nn.functional as F\n"
        "def loss(logits, labels, config):\n"
        "    targets = F.one_hot(labels, logits.shape[1]).float()\n"
        "    return F.binary_cross_entropy(logits.sigmoid(), targets)\n"
    )
    execution = execution_with_user_code(plan, splits, source, loss="mine:loss")
    assert execution == "eager: user-defined loss mine:loss"


class Synchronising(torch.nn.Module):
    """Network that reads a value back from the GPU, which no graph can contain."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) * (1.0 if float(x.mean()) < 1e9 else 0.0)


def test_uncapturable_network_falls_back_to_eager_steps(plan, splits):
    expected_metrics = run(init_state(plan), splits)
    state = init_state(plan)
    state.model = Synchronising(state.model)
    assert run(state, splits) == expected_metrics
    assert state.execution.startswith("eager: not capturable (")
    assert run(init_state(plan), splits) == expected_metrics, "later trials are not affected"


def test_averaged_weights_are_current_when_evaluated(plan, splits):
    state = init_state(plan)
    run(state, splits)
    before = copy.deepcopy(state.eval_model.state_dict())
    assert any(
        not torch.equal(before[name], tensor) for name, tensor in state.model.state_dict().items()
    )
    assert state.history[0].val_loss != state.history[-1].val_loss
