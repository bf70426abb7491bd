import io
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import OwnCode, OwnModule
from handsigns.training.checkpoint import CheckpointError, dump_checkpoint, load_checkpoint
from handsigns.training.train import DivergedError, TrainingPlan, fit, start

CONFIG = TrialConfig(channel_width=4, batch_size=8, dropout=0.3, learning_rate=5e-3)
PLAN = TrainingPlan(CONFIG, 3, 16, max_epochs=4, seed=7, device=torch.device("cpu"))


def plan_with(**changes):
    return replace(PLAN, config=CONFIG.model_copy(update=changes))


@pytest.fixture
def train(make_split):
    return make_split(30, seed=1)


@pytest.fixture
def val(make_split):
    return make_split(12, seed=2)


def without_time(epochs):
    return [replace(metrics, epoch_seconds=0.0) for metrics in epochs]


def test_learns_what_is_easy(train, val):
    plan = replace(plan_with(rotation=0, scale=0, translation=0, dropout=0), max_epochs=25)
    *_, last = fit(start(plan), train, val)
    assert last.val_accuracy == 1.0
    assert last.best_val_accuracy == 1.0


def test_same_seed_same_numbers_another_seed_others(train, val):
    first = without_time(fit(start(PLAN), train, val))
    assert without_time(fit(start(PLAN), train, val)) == first
    assert without_time(fit(start(replace(PLAN, seed=8)), train, val)) != first


@pytest.mark.parametrize("architecture", ["compact", "course"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_ends_with_the_same_weights_bit_for_bit(
    train, val, architecture, optimizer, stop_after
):
    plan = plan_with(architecture=architecture, optimizer=optimizer)
    whole = start(plan)
    expected = without_time(fit(whole, train, val))

    broken_off = start(plan)
    before = without_time(islice(fit(broken_off, train, val), stop_after))
    saved = dump_checkpoint(broken_off)
    torch.rand(100)  # another trial's use of the random state must not matter
    resumed = load_checkpoint(saved, plan, "saved")
    after = without_time(fit(resumed, train, val))

    assert before + after == expected
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for name, tensor in whole.result.state_dict().items():
        assert torch.equal(tensor, resumed.result.state_dict()[name]), name


def test_a_checkpoint_keeps_the_latest_metrics(train, val):
    plan = replace(PLAN, max_epochs=70)
    state = start(plan)
    trained = list(fit(state, train, val))
    resumed = load_checkpoint(dump_checkpoint(state), plan, "saved")
    assert list(resumed.recent) == trained[-64:]
    assert resumed.epoch == 70


def test_a_torn_checkpoint_is_refused(train, val):
    state = start(PLAN)
    next(fit(state, train, val))
    whole = dump_checkpoint(state)
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        with pytest.raises(CheckpointError, match="saved is no whole checkpoint"):
            load_checkpoint(whole[:length], PLAN, "saved")


def test_a_checkpoint_of_another_training_is_refused():
    with pytest.raises(CheckpointError, match="another training"):
        load_checkpoint(dump_checkpoint(start(PLAN)), replace(PLAN, seed=8), "saved")


def test_a_pickle_is_not_loaded():
    pickled = io.BytesIO()
    torch.save({"model": torch.zeros(1)}, pickled)
    with pytest.raises(CheckpointError):
        load_checkpoint(pickled.getvalue(), PLAN, "saved")


def test_divergence_ends_training_at_once(train, val):
    plan = plan_with(optimizer="sgd", learning_rate=10.0, momentum=0.99, architecture="course")
    state = start(plan)
    with torch.no_grad():
        next(state.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="training loss is not finite in epoch 1"):
        next(fit(state, train, val))


def test_shared_pictures_are_never_written_to(train, val):
    before = train.images.copy(), val.images.copy()
    train.images.setflags(write=False)
    list(fit(start(PLAN), train, val))
    assert np.array_equal(train.images, before[0])
    assert np.array_equal(val.images, before[1])


def test_without_validation_there_are_no_validation_figures(train):
    metrics = next(fit(start(PLAN), train, None))
    assert np.isnan(metrics.val_loss)
    assert np.isnan(metrics.val_accuracy)


def test_a_batch_larger_than_the_split_is_the_whole_split(train, val):
    assert next(fit(start(plan_with(batch_size=500)), train, val)).epoch == 1


def test_the_schedule_spans_the_whole_epoch_budget(train, val):
    rates = [m.learning_rate for m in islice(fit(start(PLAN), train, val), 2)]
    assert rates == [m.learning_rate for m in fit(start(PLAN), train, val)][:2]
    longer = [
        m.learning_rate for m in islice(fit(start(replace(PLAN, max_epochs=8)), train, val), 2)
    ]
    assert longer != rates


@pytest.mark.parametrize(
    "change",
    [
        {"gradient_clip": 0.1},
        {"weight_average": 0.0},
        {"label_smoothing": 0.3},
        {"schedule": "cosine"},
        {"weight_decay": 0.5},
        {"momentum": 0.5},
        {"color_jitter": 0.9},
        {"flip": 0.0},
        {"test_time_flip": False},
        {"rotation": 90.0},
        {"scale": 0.5},
        {"translation": 0.5},
        {"dropout": 0.6},
        {"batch_size": 5},
        {"channel_width": 5},
        {"optimizer": "sgd"},
        {"learning_rate": 1e-4},
        {"architecture": "course"},
    ],
)
def test_every_hyperparameter_has_an_effect(train, val, change):
    usual = without_time(islice(fit(start(PLAN), train, val), 2))
    changed = without_time(islice(fit(start(plan_with(**change)), train, val), 2))
    assert changed[-1].val_loss != usual[-1].val_loss


def test_averaging_weights_changes_nothing_of_the_training(train, val):
    averaged = start(PLAN)
    epochs = list(fit(averaged, train, val))
    plain = start(plan_with(weight_average=0.0))
    for one, other in zip(epochs, fit(plain, train, val), strict=True):
        assert one.train_loss == other.train_loss
        assert one.val_loss != other.val_loss
    assert plain.result is plain.model
    assert averaged.result is not averaged.model
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, averaged.model.state_dict()[name]), name


def test_an_own_loss_and_its_hyperparameters_have_an_effect(train, val):
    source = (
        "def loss(logits, labels, config):\n"
        "    return config.own['weight'] * logits.square().mean() + logits.mean() * 0\n"
    )
    own = OwnCode({"mine": OwnModule("mine", source, Path("mine.py"))})

    def run(**params):
        config = TrialConfig.from_params({**CONFIG.hyperparameters(), **params})
        plan = replace(PLAN, config=config, own=own)
        return next(fit(start(plan), train, val)).train_loss

    losses = {run()} | {run(loss="mine:loss", **{"own.weight": w}) for w in (0.5, 1.0)}
    assert len(losses) == 3
