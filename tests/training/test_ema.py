"""Moving average of weights: its definition, and all kinds of network state."""

import math

import pytest
import torch
from torch import nn

from handsigns.errors import ConfigError
from handsigns.training.ema import ExponentialMovingAverage, ema_weight

HALF = torch.tensor(0.5)


def shift_weights(model, by):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


def step_weights(count, steps):
    """Return the weight of each step in the average, by definition, newest last."""
    weights = []
    for step in range(1, count + 1):
        weight = max(1 - math.exp(-1 / steps), 21 / (20 + step))
        weights = [(1 - weight) * previous for previous in weights] + [weight]
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("steps", [4.0, 1000.0])  # final time constants 4 and 7
def test_ema_matches_its_definition(steps):
    model = nn.Linear(3, 2)
    average, seen = ExponentialMovingAverage(model), []
    for step in range(150):
        shift_weights(model, by=math.sin(step))
        seen.append(model.weight.detach().clone())
        average.update(torch.tensor(ema_weight(step + 1, steps)))
    expected = sum(w * value for w, value in zip(step_weights(150, steps), seen, strict=True))
    torch.testing.assert_close(average.model.weight.detach(), expected)


def test_ema_leaves_the_network_unchanged():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    average = ExponentialMovingAverage(model)
    average.update(HALF)
    shift_weights(average.model, by=1.0)
    assert torch.equal(model.weight, before)
    assert model.weight.requires_grad
    assert not average.model.weight.requires_grad


def test_ema_averages_statistics_and_copies_counters():
    model = nn.BatchNorm1d(2)
    average = ExponentialMovingAverage(model)
    for _ in range(3):
        model(torch.randn(8, 2) + 5)
        average.update(HALF)
    average.copy_buffers()
    assert int(average.model.num_batches_tracked) == 3
    assert 0 < float(average.model.running_mean[0]) < float(model.running_mean[0])


def test_shared_weight_is_averaged_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    average = ExponentialMovingAverage(model)
    before = average.model[0].weight.clone()
    shift_weights(model, by=1.0)
    average.update(HALF)
    torch.testing.assert_close(average.model[1].weight, before + 0.5)


def test_other_buffers_are_copied_from_the_network():
    class WithBuffers(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
            self.register_buffer("seen", torch.zeros(1))

    model = WithBuffers()
    average = ExponentialMovingAverage(model)
    for _ in range(3):
        model.seen = model.seen + 1
        average.copy_buffers()
    assert torch.equal(average.model.mask, model.mask)
    assert float(average.model.seen) == 3
    model.seen += 1
    assert float(average.model.seen) == 3, "until they are copied"


def test_buffers_replaced_in_evaluation_are_copied_again():
    model = nn.BatchNorm1d(1)
    average = ExponentialMovingAverage(model)
    with torch.inference_mode():
        average.model.num_batches_tracked = average.model.num_batches_tracked + 1
    average.copy_buffers()
    assert int(average.model.num_batches_tracked) == 0


def test_ema_resumes_from_its_state_dict():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    uninterrupted = ExponentialMovingAverage(model)
    shift_weights(model, by=1.0)
    uninterrupted.update(HALF)
    saved = {name: tensor.clone() for name, tensor in uninterrupted.state_dict().items()}
    resumed = ExponentialMovingAverage(model)
    resumed.load_state_dict(saved)
    shift_weights(model, by=1.0)
    for average in (uninterrupted, resumed):
        average.update(HALF)
    assert torch.equal(uninterrupted.model.weight, resumed.model.weight)
    with pytest.raises(KeyError):
        resumed.load_state_dict({"weight": torch.zeros(2, 3)})


def test_uncopyable_network_is_named_in_the_error():
    class Uncopyable(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.ones(1, requires_grad=True) * 2  # not a leaf

    with pytest.raises(ConfigError, match=r"cannot copy Uncopyable.*ema_epochs: 0"):
        ExponentialMovingAverage(Uncopyable())
