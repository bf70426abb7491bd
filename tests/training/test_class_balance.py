"""Class weights, balanced sampling and the scores of a model on imbalanced classes."""

import numpy as np
import pytest
import torch
from torch import nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.training.class_balance import balanced_class_weights
from handsigns.training.epoch_inputs import draw_epoch
from handsigns.training.evaluate import evaluate
from handsigns.training.loss import make_loss
from handsigns.training.state import TrainingPlan

LABELS = torch.tensor([0] * 90 + [1] * 9 + [2])
PLAN = TrainingPlan(TrialConfig(batch_size=16), 3, 16, 1, 1, torch.device("cpu"))


def draw(seed=0):
    weights = balanced_class_weights(LABELS, 3)[LABELS]
    return draw_epoch(PLAN, 1, len(LABELS), torch.Generator().manual_seed(seed), weights).order


def test_weights_are_inverse_to_the_sizes_of_the_classes():
    weights = balanced_class_weights(LABELS, 3)
    assert weights.tolist() == pytest.approx([100 / 270, 100 / 27, 100 / 3])
    absent = balanced_class_weights(LABELS, 4)
    assert torch.isfinite(absent).all()


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_weighted_loss_equals_its_definition(label_smoothing):
    config = TrialConfig(label_smoothing=label_smoothing)
    weights = balanced_class_weights(LABELS, 3)
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 1, 2, 1, 0])
    log_p = np.log(np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True))
    targets = np.eye(3)[labels] * (1 - label_smoothing) + label_smoothing / 3
    losses, image_weights = -(targets * log_p).sum(1), weights.numpy()[labels]
    weighted = (losses * image_weights).sum() / image_weights.sum()
    assert make_loss(config, None, weights)(logits, labels).item() == pytest.approx(weighted)


def test_smoothing_draws_no_prediction_towards_the_rare_class():
    """The loss of images that look alike is lowest at their smoothed target."""
    loss = make_loss(TrialConfig(label_smoothing=0.05), None, torch.tensor([0.5, 10.0]))
    logits = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(500):
        optimizer.zero_grad()
        loss(logits.expand(4, 2), torch.zeros(4, dtype=torch.int64)).backward()
        optimizer.step()
    assert logits.softmax(0)[1].item() == pytest.approx(0.025, abs=1e-3)


def test_each_class_is_drawn_equally_often_in_as_many_steps():
    orders = torch.stack([draw(seed) for seed in range(60)])
    assert orders.shape[1:] == (100 // 16, 16)
    shares = torch.bincount(LABELS[orders.flatten()], minlength=3) / orders.numel()
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    frequent = torch.bincount(orders.flatten(), minlength=100)[:90]
    assert (frequent > 0).all(), "every image of a class can be drawn"


def test_draws_depend_on_the_seed_alone():
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


class FixedLogits(nn.Module):
    """Network that predicts these classes, whatever the images."""

    def __init__(self, predicted):
        super().__init__()
        self.logits = 9.0 * torch.eye(4)[predicted]

    def forward(self, images):
        return self.logits


def test_scores_of_an_evaluation_are_those_of_its_predictions():
    labels, predicted = torch.tensor([0] * 8 + [1, 1]), [0] * 7 + [2, 1, 0]
    images = torch.zeros(10, 8, 8, 3, dtype=torch.uint8)
    scores = evaluate(FixedLogits(predicted), images, labels, 4)
    assert scores.accuracy == pytest.approx(0.8)
    assert scores.balanced_accuracy == pytest.approx((7 / 8 + 1 / 2) / 2)
    assert scores.macro_f1 == pytest.approx((14 / 16 + 2 / 3 + 0 + 0) / 4)
