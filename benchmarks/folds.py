"""Trainings on folds of the training and validation images, for the accuracy benchmarks.

The test split is never opened. Results can be cached in a JSON-lines file, so that an interrupted
benchmark resumes, and tables can be recomputed.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness import events, log_progress, temporary_folder, write_synthetic_images

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.results.environment import describe_environment

if TYPE_CHECKING:
    import torch

    from handsigns.training.ema import ExponentialMovingAverage
    from handsigns.training.optimizer import Optimizer
    from handsigns.training.state import TrainingPlan


NUM_PRETRAINING_IMAGES = 2400
"""Number of synthetic images for pretraining."""


@dataclass(frozen=True)
class Training:
    """Training on all folds but one, evaluated on that one.

    Attributes:
        params: hyperparameters that differ from their defaults.
        epochs: number of epochs, also that of the learning-rate schedule.
        fold, folds: index of the held-out fold, and number of folds.
        split_seed: seed of the partition into folds.
        seed: index of the training on this fold.
        pretrain_epochs: number of epochs of pretraining on synthetic hands.
        ema_epochs: horizons, in epochs, of additional weight averages to evaluate, beside the one
            of the hyperparameter ``ema_epochs``.
    """

    params: dict[str, Scalar]
    epochs: int
    fold: int
    folds: int
    split_seed: int = 0
    seed: int = 0
    pretrain_epochs: int = 0
    ema_epochs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Curve:
    """Learning curve of a training, on the held-out images.

    Attributes:
        loss, accuracy: values after each epoch, of the model that a search would evaluate.
        ema_loss, ema_accuracy: curves of the additional weight averages.
        seconds: duration of the training without the evaluation of these averages.
        probabilities: final class probabilities of each held-out image.
        labels: labels of the held-out images.
    """

    loss: list[float]
    accuracy: list[float]
    seconds: float
    ema_loss: list[list[float]] = field(default_factory=list)
    ema_accuracy: list[list[float]] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


def add_fold_arguments(parser: argparse.ArgumentParser, folds: int) -> None:
    """Add the options of a benchmark on folds."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="image data set (None: synthetic hands)"
    )
    parser.add_argument("--folds", type=int, default=folds, metavar="F", help="number of folds")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="concurrent trainings")
    parser.add_argument(
        "--curves", type=Path, metavar="FILE", help="cache finished trainings in this file"
    )
    parser.add_argument("--max-epochs", type=int, metavar="N", help="upper limit of epochs")


SMOKE_DEFAULTS: dict[str, int] = {"folds": 3, "jobs": 1, "max_epochs": 2}
"""Defaults of a smoke run."""


@contextmanager
def benchmark_data(args: argparse.Namespace) -> Iterator[Path | None]:
    """Yield the data set to train on; that of a smoke run is temporary, with a few images."""
    if not args.smoke or args.data:
        yield args.data
        return
    with temporary_folder() as folder:
        write_synthetic_images(folder / "hands", {"train": 24, "val": 12, "test": 6}, 16, "png")
        yield folder / "hands"


def train_all(
    trainings: Sequence[Training], data: Path | None, jobs: int, cache_file: Path | None
) -> list[Curve]:
    """Run the trainings that are not cached, several in parallel, each on one core.

    Returns:
        The curves of all trainings, in order.

    Raises:
        DivergedError: a loss became NaN or infinite.
    """
    from handsigns.data.dataset import open_data

    fingerprint = open_data(data).info.fingerprint  # decodes once, before all processes need it
    curves = _read(cache_file, fingerprint)
    missing = [training for training in trainings if _key(training) not in curves]
    # A forked process cannot train if this one has.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(train, data, training): training for training in missing}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                training, curve = futures[future], future.result()
                curves[_key(training)] = curve
                _append(cache_file, fingerprint, training, curve)
                log_progress(
                    f"training {count} of {len(missing)}: accuracy {curve.accuracy[-1]:.2%} "
                    f"on fold {training.fold}"
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [curves[_key(training)] for training in trainings]


def train(data: Path | None, training: Training) -> Curve:
    """Run one training on one core."""
    import torch

    from handsigns.data.dataset import open_data
    from handsigns.data.folds import Fold
    from handsigns.models import inference_model
    from handsigns.training.ema import ExponentialMovingAverage
    from handsigns.training.evaluate import evaluate, predict_logits
    from handsigns.training.state import TrainingPlan, init_state
    from handsigns.training.train import train_epochs

    torch.set_num_threads(1)
    data_set = open_data(data)
    fold = Fold(training.fold, training.folds, training.split_seed)
    train_split, val_split = fold.hold_out(data_set.train, data_set.val)
    plan = TrainingPlan(
        config=TrialConfig.from_params(training.params),
        num_classes=len(data_set.info.classes),
        image_size=data_set.info.size,
        max_epochs=training.epochs,
        seed=10_000 * training.seed + 1000 * training.split_seed + training.fold,
        device=torch.device("cpu"),
    )
    state = init_state(plan)
    started = time.perf_counter()
    if training.pretrain_epochs:
        state.model.load_state_dict(_pretrain_on_synthetic_hands(plan, training.pretrain_epochs))
    steps_per_epoch = max(1, len(train_split) // plan.config.batch_size)
    averages = [ExponentialMovingAverage(state.model) for _ in training.ema_epochs]
    horizons = [epochs * steps_per_epoch for epochs in training.ema_epochs]
    state.optimizer = _EMAOptimizer(state.optimizer, averages, horizons)  # type: ignore[assignment]
    images, labels = torch.from_numpy(val_split.images), torch.from_numpy(val_split.labels)
    curve = Curve([], [], 0.0, [[] for _ in averages], [[] for _ in averages])
    seconds = time.perf_counter() - started
    for metrics in train_epochs(state, train_split, val_split):
        seconds += metrics.epoch_seconds
        curve.loss.append(metrics.val_loss)
        curve.accuracy.append(metrics.val_accuracy)
        for number, average in enumerate(averages):
            model = inference_model(average.model, plan.config)
            scores = evaluate(model, images, labels, plan.num_classes)
            curve.ema_loss[number].append(scores.loss)
            curve.ema_accuracy[number].append(scores.accuracy)
    logits = predict_logits(inference_model(state.eval_model, plan.config), images)
    return dataclasses.replace(
        curve,
        seconds=seconds,
        probabilities=[[round(p, 5) for p in row] for row in logits.softmax(1).tolist()],
        labels=labels.tolist(),
    )


def _pretrain_on_synthetic_hands(plan: TrainingPlan, epochs: int) -> dict[str, torch.Tensor]:
    """Return the weights after pretraining on synthetic hands."""
    from handsigns.data.splits import Split
    from handsigns.data.synthetic import generate_hands
    from handsigns.training.state import init_state
    from handsigns.training.train import train_epochs

    images, labels = generate_hands(NUM_PRETRAINING_IMAGES, plan.seed, plan.image_size)
    state = init_state(dataclasses.replace(plan, max_epochs=epochs))
    for _ in train_epochs(
        state, Split(images, labels, tuple(map(str, range(NUM_PRETRAINING_IMAGES)))), None
    ):
        pass
    return state.model.state_dict()


class _EMAOptimizer:
    """Optimiser that also updates weight averages after each step."""

    def __init__(
        self,
        inner: Optimizer,
        averages: Sequence[ExponentialMovingAverage],
        horizons: Sequence[float],
    ) -> None:
        self._inner = inner
        self._averages = list(zip(averages, horizons, strict=True))
        self._updates = 0

    def zero_grad(self) -> None:
        self._inner.zero_grad()

    def step(self, lr: torch.Tensor) -> None:
        from handsigns.training.ema import ema_weight

        self._inner.step(lr)
        self._updates += 1
        for average, horizon in self._averages:
            average.update(lr.new_tensor(ema_weight(self._updates, horizon)))
            average.copy_buffers()


def _key(training: Training) -> str:
    """Return the cache key, which includes all hyperparameters, with defaults, and the code."""
    config = TrialConfig.from_params(training.params).hyperparameters()
    return json.dumps(dataclasses.asdict(training) | {"config": config, "code": _code_version()})


@functools.cache
def _code_version() -> str:
    return str(describe_environment()["code"])


def _append(cache_file: Path | None, fingerprint: str, training: Training, curve: Curve) -> None:
    if cache_file is None:
        return
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    line = {"data": fingerprint, "training": _key(training), "curve": dataclasses.asdict(curve)}
    with cache_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _read(cache_file: Path | None, fingerprint: str) -> dict[str, Curve]:
    lines = events(cache_file) if cache_file is not None else []
    return {
        line["training"]: Curve(**line["curve"]) for line in lines if line["data"] == fingerprint
    }
