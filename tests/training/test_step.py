"""Training steps fed from device memory equal a plain training loop."""

import copy

import pytest
import torch
import torch.nn.functional as F

from handsigns.config.hyperparameters import TrialConfig
from handsigns.training.augment import augment
from handsigns.training.cuda_graph import GraphedFunction
from handsigns.training.device_data import split_to_device
from handsigns.training.ema import ema_weight
from handsigns.training.epoch_inputs import draw_epoch, learning_rate
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.step import EpochTrainer

CPU = torch.device("cpu")
CONFIG = TrialConfig(channel_width=4, batch_size=8, dropout=0.0, optimizer="adamw")
PLAN = TrainingPlan(CONFIG, 3, 16, max_epochs=4, seed=7, device=CPU)


def draw(epoch=2, num_images=30, config=CONFIG):
    plan = TrainingPlan(config, 3, 16, max_epochs=4, seed=7, device=CPU)
    return plan, draw_epoch(plan, epoch, num_images, torch.Generator().manual_seed(1))


def test_epoch_visits_each_image_at_most_once():
    _, inputs = draw()
    assert inputs.order.shape == (3, 8), "the last, partial batch is dropped"
    assert len(set(inputs.order.flatten().tolist())) == 24


def test_schedule_and_averaging_weight_of_each_step():
    plan, inputs = draw(epoch=2)
    assert inputs.learning_rate.tolist() == pytest.approx(
        [learning_rate(plan, 2, step, 3) for step in range(3)]
    )
    expected = [ema_weight(update, CONFIG.ema_epochs * 3) for update in (4, 5, 6)]
    assert inputs.ema_weight.tolist() == pytest.approx(expected)


def test_selected_step_has_the_inputs_of_that_step():
    _, inputs = draw()
    second = inputs.step(torch.tensor([1]))
    for selected, all_steps in zip(second.tensors(), inputs.tensors(), strict=True):
        assert torch.equal(selected, all_steps[1])


def test_unused_augmentation_is_not_drawn():
    plain = CONFIG.model_copy(
        update={"rotation": 0.0, "scale": 0.0, "translation": 0.0, "color_jitter": 0.0}
    )
    _, inputs = draw(config=plain)
    assert (inputs.augmentation.affine, inputs.augmentation.color) == (None, None)
    assert inputs.augmentation.mirrored is not None
    assert inputs.augmentation.mirrored.shape == (3, 8)


def test_two_epochs_equal_a_plain_loop(make_split):
    images, labels = split_to_device(make_split(30, seed=1), CPU)
    state = init_state(PLAN)
    expected_model, average = copy.deepcopy(state.model), copy.deepcopy(state.model)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in expected_model.parameters() if p.ndim > 1]},
            {"params": [p for p in expected_model.parameters() if p.ndim <= 1], "weight_decay": 0},
        ],
        betas=(CONFIG.momentum, 0.999),
        weight_decay=CONFIG.weight_decay,
        fused=True,
        lr=torch.tensor(0.0),
    )
    generator = torch.Generator().manual_seed(PLAN.seed)
    trainer = EpochTrainer(state, images, labels)
    for epoch in (1, 2):
        inputs = draw_epoch(PLAN, epoch, len(images), generator)
        losses, correct = [], 0
        for step, batch in enumerate(inputs.order):
            draws = inputs.augmentation.map(lambda draws, step=step: draws[step])
            logits = expected_model(augment(images[batch], draws))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=CONFIG.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = inputs.learning_rate[step]
            optimizer.step()
            losses.append(loss.item())
            correct += int((logits.argmax(1) == labels[batch]).sum())
            for mean, weight in zip(average.parameters(), expected_model.parameters(), strict=True):
                mean.data += inputs.ema_weight[step] * (weight.data - mean.data)
        actual_loss, actual_accuracy = trainer.train_epoch(epoch)
        assert actual_loss == pytest.approx(sum(losses) / 3)
        assert actual_accuracy == correct / 24
    for actual, expected in zip(state.model.parameters(), expected_model.parameters(), strict=True):
        torch.testing.assert_close(actual, expected)
    for actual, expected in zip(state.eval_model.parameters(), average.parameters(), strict=True):
        torch.testing.assert_close(actual, expected)


def test_the_loss_is_computed_in_float32_without_autocast(make_split, monkeypatch):
    seen = []

    def loss(logits, labels):
        seen.append((logits.dtype, torch.is_autocast_enabled("cpu")))
        return F.cross_entropy(logits, labels)

    monkeypatch.setattr(
        "handsigns.training.step.autocast_context", lambda _: torch.autocast("cpu", torch.bfloat16)
    )
    monkeypatch.setattr("handsigns.training.step.make_loss", lambda *_: loss)
    EpochTrainer(init_state(PLAN), *split_to_device(make_split(8), CPU)).train_epoch(1)
    assert seen == [(torch.float32, False)]


@pytest.mark.parametrize("reason", ["", "user-defined network mine:net"])
def test_cpu_functions_run_eagerly_at_every_call(reason):
    calls = []
    function = GraphedFunction(lambda: calls.append(1), CPU, reason)
    for _ in range(6):
        function()
    assert len(calls) == 6
    assert function.execution == "eager"
