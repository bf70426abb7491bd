"""Averaged weights: an exact average, of everything that the network is made of."""

import math

import pytest
import torch
from torch import nn

from handsigns.errors import ConfigError
from handsigns.training.ema import WeightAverage


def moved(model, by):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


def shares(count, steps):
    """Of each of so many steps, by the definition: newest last."""
    found = []
    for step in range(1, count + 1):
        share = max(1 - math.exp(-1 / steps), 21 / (20 + step))
        found = [(1 - share) * one for one in found] + [share]
    return found


@pytest.mark.parametrize("steps", [4.0, 1000.0])  # at the end its reach is 4, and 7
def test_is_the_average_of_the_steps(steps):
    model = nn.Linear(3, 2)
    average, seen = WeightAverage(model), []
    for step in range(150):
        moved(model, by=math.sin(step))
        seen.append(model.weight.detach().clone())
        average.update(steps)
    wanted = sum(share * one for share, one in zip(shares(150, steps), seen, strict=True))
    torch.testing.assert_close(average.model.weight.detach(), wanted)


def test_leaves_the_network_alone():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    average = WeightAverage(model)
    average.update(steps=2.0)
    moved(average.model, by=1.0)
    assert torch.equal(model.weight, before)
    assert model.weight.requires_grad
    assert not average.model.weight.requires_grad


def test_takes_in_statistics_and_counts():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model)
    for _ in range(3):
        model(torch.randn(8, 2) + 5)
        average.update(steps=100.0)
    assert int(average.model.num_batches_tracked) == 3
    assert 0 < float(average.model.running_mean[0]) < float(model.running_mean[0])


def test_a_weight_used_twice_is_averaged_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    average = WeightAverage(model)
    average.update(steps=1.0)
    before = average.model[0].weight.clone()
    moved(model, by=1.0)
    average.update(steps=1.0)
    torch.testing.assert_close(average.model[1].weight, before + 21 / 22)


def test_buffers_that_are_no_statistics_follow_the_network():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
            self.register_buffer("seen", torch.zeros(1))

    model = Own()
    average = WeightAverage(model)
    for _ in range(3):
        model.seen = model.seen + 1
        average.update(steps=5.0)
    assert torch.equal(average.model.mask, model.mask)
    assert float(average.model.seen) == 3
    model.seen += 1
    assert float(average.model.seen) == 3, "until the next update"


def test_goes_on_from_what_was_saved():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    whole = WeightAverage(model)
    whole.update(steps=3.0)
    saved = {name: tensor.clone() for name, tensor in whole.state().items()}
    resumed = WeightAverage(model)
    resumed.restore(saved)
    moved(model, by=1.0)
    for average in (whole, resumed):
        average.update(steps=3.0)
    assert torch.equal(whole.model.weight, resumed.model.weight)
    with pytest.raises(KeyError):
        resumed.restore({"updates": torch.tensor(1)})


def test_a_network_that_cannot_be_copied_is_named():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.ones(1, requires_grad=True) * 2  # not a leaf

    with pytest.raises(ConfigError, match=r"no copy of Odd.*weight_average: 0"):
        WeightAverage(Odd())
