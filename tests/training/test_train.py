import io
import zlib
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode, UserModule
from handsigns.training.checkpoint import (
    CheckpointError,
    _checksum,
    dump_checkpoint,
    load_checkpoint,
)
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import DivergedError, train_epochs

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


def test_learns_an_easy_task(train, val):
    plan = replace(plan_with(rotation=0, scale=0, translation=0, dropout=0), max_epochs=25)
    *_, last = train_epochs(init_state(plan), train, val)
    assert last.val_accuracy == 1.0
    assert last.best_val_accuracy == 1.0


def test_metrics_depend_on_the_seed_alone(train, val):
    first = without_time(train_epochs(init_state(PLAN), train, val))
    assert without_time(train_epochs(init_state(PLAN), train, val)) == first
    assert without_time(train_epochs(init_state(replace(PLAN, seed=8)), train, val)) != first


@pytest.mark.parametrize("architecture", ["compact", "cs230"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_training_is_bit_for_bit_identical(train, val, architecture, optimizer, stop_after):
    balanced = {"class_weights": "balanced", "sampling": "balanced"} if stop_after == 3 else {}
    plan = plan_with(architecture=architecture, optimizer=optimizer, **balanced)
    uninterrupted = init_state(plan)
    expected = without_time(train_epochs(uninterrupted, train, val))

    interrupted = init_state(plan)
    before = without_time(islice(train_epochs(interrupted, train, val), stop_after))
    saved = dump_checkpoint(interrupted)
    torch.rand(100)  # random numbers of other trials must not matter
    resumed = load_checkpoint(saved, plan, "saved")
    after = without_time(train_epochs(resumed, train, val))

    assert before + after == expected
    for name, tensor in uninterrupted.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for name, tensor in uninterrupted.eval_model.state_dict().items():
        assert torch.equal(tensor, resumed.eval_model.state_dict()[name]), name


def test_checkpoint_keeps_the_latest_metrics(train, val):
    plan = replace(PLAN, max_epochs=70)
    state = init_state(plan)
    epochs = list(train_epochs(state, train, val))
    resumed = load_checkpoint(dump_checkpoint(state), plan, "saved")
    assert list(resumed.history) == epochs[-64:]
    assert resumed.epoch == 70


def test_truncated_checkpoint_is_rejected(train, val):
    state = init_state(PLAN)
    next(train_epochs(state, train, val))
    data = dump_checkpoint(state)
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(CheckpointError, match="saved is not a complete checkpoint"):
            load_checkpoint(data[:length], PLAN, "saved")


def test_checkpoint_of_a_different_run_is_rejected():
    with pytest.raises(CheckpointError, match="a different training run"):
        load_checkpoint(dump_checkpoint(init_state(PLAN)), replace(PLAN, seed=8), "saved")


def test_pickle_is_not_loaded():
    pickled = io.BytesIO()
    torch.save({"model": torch.zeros(1)}, pickled)
    with pytest.raises(CheckpointError):
        load_checkpoint(pickled.getvalue(), PLAN, "saved")


def test_divergence_stops_training_at_once(train, val):
    plan = plan_with(optimizer="sgd", learning_rate=10.0, momentum=0.99, architecture="cs230")
    state = init_state(plan)
    with torch.no_grad():
        next(state.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="training loss is not finite in epoch 1"):
        next(train_epochs(state, train, val))


def test_shared_images_are_never_modified(train, val):
    before = train.images.copy(), val.images.copy()
    train.images.setflags(write=False)
    list(train_epochs(init_state(PLAN), train, val))
    assert np.array_equal(train.images, before[0])
    assert np.array_equal(val.images, before[1])


def test_validation_metrics_are_nan_without_validation_split(train):
    metrics = next(train_epochs(init_state(PLAN), train, None))
    assert np.isnan(metrics.val_loss)
    assert np.isnan(metrics.val_accuracy)
    assert np.isnan(metrics.best_val_accuracy)


def test_batch_size_is_limited_to_the_split_size(train, val):
    assert next(train_epochs(init_state(plan_with(batch_size=500)), train, val)).epoch == 1


def test_schedule_spans_the_full_epoch_budget(train, val):
    lrs = [m.learning_rate for m in islice(train_epochs(init_state(PLAN), train, val), 2)]
    assert lrs == [m.learning_rate for m in train_epochs(init_state(PLAN), train, val)][:2]
    longer = [
        m.learning_rate
        for m in islice(train_epochs(init_state(replace(PLAN, max_epochs=8)), train, val), 2)
    ]
    assert longer != lrs


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"gradient_clip": 0.1},
        {"ema_epochs": 0.0},
        {"label_smoothing": 0.3},
        {"class_weights": "balanced"},
        {"sampling": "balanced"},
        {"schedule": "cosine"},
        {"weight_decay": 0.5},
        {"momentum": 0.5},
        {"color_jitter": 0.9},
        {"flip": 0.0},
        {"flip_tta": False},
        {"rotation": 90.0},
        {"scale": 0.5},
        {"translation": 0.5},
        {"dropout": 0.6},
        {"batch_size": 5},
        {"channel_width": 5},
        {"optimizer": "sgd"},
        {"learning_rate": 1e-4},
        {"architecture": "cs230"},
    ],
)
def test_every_hyperparameter_has_an_effect(train, val, change):
    train = train.head(28)  # of three classes, so that they differ in size
    baseline = without_time(islice(train_epochs(init_state(PLAN), train, val), 2))
    changed = without_time(islice(train_epochs(init_state(plan_with(**change)), train, val), 2))
    assert changed[-1].val_loss != baseline[-1].val_loss


def test_ema_does_not_affect_training(train, val):
    with_ema = init_state(PLAN)
    epochs = list(train_epochs(with_ema, train, val))
    without_ema = init_state(plan_with(ema_epochs=0.0))
    for with_, without in zip(epochs, train_epochs(without_ema, train, val), strict=True):
        assert with_.train_loss == without.train_loss
        assert with_.val_loss != without.val_loss
    assert without_ema.eval_model is without_ema.model
    assert with_ema.eval_model is not with_ema.model
    for name, tensor in without_ema.model.state_dict().items():
        assert torch.equal(tensor, with_ema.model.state_dict()[name]), name


def test_user_loss_and_custom_hyperparameters_have_an_effect(train, val):
    source = (
        "def loss(logits, labels, config):\n"
        "    return config.custom['weight'] * logits.square().mean() + logits.mean() * 0\n"
    )
    user_code = UserCode({"mine": UserModule("mine", source, Path("mine.py"))})

    def run(**params):
        config = TrialConfig.from_params({**CONFIG.hyperparameters(), **params})
        plan = replace(PLAN, config=config, user_code=user_code)
        return next(train_epochs(init_state(plan), train, val)).train_loss

    losses = {run()} | {run(loss="mine:loss", **{"custom.weight": w}) for w in (0.5, 1.0)}
    assert len(losses) == 3


def test_networks_with_bfloat16_buffers_can_be_checkpointed(train, val):
    source = (
        "import torch\n"
        "def build(config, classes, size):\n"
        "    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * size**2, classes))\n"
        "    net.register_buffer('scale', torch.ones((), dtype=torch.bfloat16))\n"
        "    return net\n"
    )
    user_code = UserCode({"mine": UserModule("mine", source, Path("mine.py"))})
    plan = replace(plan_with(architecture="mine:build"), user_code=user_code)
    resumed = load_checkpoint(dump_checkpoint(init_state(plan)), plan, "saved")
    assert resumed.model.scale.dtype == torch.bfloat16


def test_checksums_of_checkpoints_stay_the_same():
    tensors = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(7), "c": torch.ones(0)}
    content = torch.tensor(7).numpy().tobytes() + torch.arange(6.0).numpy().tobytes()
    assert _checksum(tensors) == f"{zlib.crc32(content):08x}"
