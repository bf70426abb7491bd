"""Trainings on folds of training and validation pictures, for the benchmarks of accuracy.

The test split stays closed. Every training is kept in a file of lines where one is named, so that a
benchmark that was broken off goes on, and tables can be made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness import draw_pictures, events, tell, workplace

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.results.environment import describe_environment

if TYPE_CHECKING:
    import torch

    from handsigns.training.ema import WeightAverage
    from handsigns.training.optimizer import Optimizer
    from handsigns.training.train import TrainingPlan


DRAWN = 2400
"""Pictures of drawn hands from which a network may learn first."""


@dataclass(frozen=True)
class Training:
    """One training: on all folds but one, measured on that one.

    Attributes:
        params: the hyperparameters that differ from their defaults.
        epochs: how many, to which the schedule is tied.
        fold, folds: which of how many is held out.
        cut: seed of the cut into folds.
        seed: number of the training on this fold.
        pretrained: how many epochs it has learnt from drawn hands before.
        averages: also measure averages of the weights over so many epochs each, beside what
            ``weight_average`` has measured.
    """

    params: dict[str, Scalar]
    epochs: int
    fold: int
    folds: int
    cut: int = 0
    seed: int = 0
    pretrained: int = 0
    averages: tuple[float, ...] = ()


@dataclass(frozen=True)
class Curve:
    """What a training came to after each epoch, on the pictures held out.

    Attributes:
        loss, accuracy: of the network that a search would measure.
        averaged_loss, averaged_accuracy: of each of the averages asked for, its curve.
        seconds: of the whole training, the evaluations of these averages left out.
        probabilities: at the end, of each picture held out for each class.
        labels: of those pictures.
    """

    loss: list[float]
    accuracy: list[float]
    seconds: float
    averaged_loss: list[list[float]] = field(default_factory=list)
    averaged_accuracy: list[list[float]] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


def fold_options(parser: argparse.ArgumentParser, folds: int) -> None:
    """The options of a benchmark on folds."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="None: drawn hands")
    parser.add_argument("--folds", type=int, default=folds, metavar="F", help="how many")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="trainings at once")
    parser.add_argument("--curves", type=Path, metavar="FILE", help="keep trainings; go on there")
    parser.add_argument("--max-epochs", type=int, metavar="N", help="of a training, at most")


SMOKE: dict[str, int] = {"folds": 3, "jobs": 1, "max_epochs": 2}
"""Options of a smoke run."""


@contextmanager
def pictures_of(chosen: argparse.Namespace) -> Iterator[Path | None]:
    """The pictures to train on: those of a smoke run are a few hands, gone afterwards."""
    if not chosen.smoke or chosen.data:
        yield chosen.data
        return
    with workplace() as folder:
        draw_pictures(folder / "hands", {"train": 24, "val": 12, "test": 6}, 16, "png")
        yield folder / "hands"


def train_all(
    trainings: Sequence[Training], data: Path | None, jobs: int, kept: Path | None
) -> list[Curve]:
    """Train them in that order, several at once, each on one core; those kept are not repeated.

    Raises:
        DivergedError: a loss became NaN or infinite.
    """
    from handsigns.data.dataset import open_data

    fingerprint = open_data(data).info.fingerprint  # decoded once, before all processes want it
    curves = _read(kept, fingerprint)
    missing = [training for training in trainings if _key(training) not in curves]
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {pool.submit(train, data, training): training for training in missing}
        try:
            for count, done in enumerate(as_completed(waiting), 1):
                training, curve = waiting[done], done.result()
                curves[_key(training)] = curve
                _append(kept, fingerprint, training, curve)
                tell(f"{count} of {len(missing)}: {curve.accuracy[-1]:.2%} on fold {training.fold}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [curves[_key(training)] for training in trainings]


def train(data: Path | None, training: Training) -> Curve:
    """One training, on one core."""
    import torch

    from handsigns.data.dataset import open_data
    from handsigns.data.folds import Fold
    from handsigns.models import as_evaluated
    from handsigns.training.ema import WeightAverage
    from handsigns.training.evaluate import evaluate, predict_logits
    from handsigns.training.train import TrainingPlan, fit, start

    torch.set_num_threads(1)
    found = open_data(data)
    fold = Fold(training.fold, training.folds, training.cut)
    pictures, held_out = fold.hold_out(found.train, found.val)
    plan = TrainingPlan(
        config=TrialConfig.from_params(training.params),
        classes=len(found.info.classes),
        size=found.info.size,
        max_epochs=training.epochs,
        seed=10_000 * training.seed + 1000 * training.cut + training.fold,
        device=torch.device("cpu"),
    )
    state = start(plan)
    begun = time.perf_counter()
    if training.pretrained:
        state.model.load_state_dict(_learn_from_drawn_hands(plan, training.pretrained))
    steps = max(1, len(pictures) // plan.config.batch_size)
    averages = [WeightAverage(state.model) for _ in training.averages]
    reach = [epochs * steps for epochs in training.averages]
    state.optimizer = _Averaging(state.optimizer, averages, reach)  # type: ignore[assignment]
    images, labels = torch.from_numpy(held_out.images), torch.from_numpy(held_out.labels)
    curve = Curve([], [], 0.0, [[] for _ in averages], [[] for _ in averages])
    seconds = time.perf_counter() - begun
    for metrics in fit(state, pictures, held_out):
        seconds += metrics.epoch_seconds
        curve.loss.append(metrics.val_loss)
        curve.accuracy.append(metrics.val_accuracy)
        for number, average in enumerate(averages):
            scores = evaluate(as_evaluated(average.model, plan.config), images, labels)
            curve.averaged_loss[number].append(scores.loss)
            curve.averaged_accuracy[number].append(scores.accuracy)
    logits = predict_logits(as_evaluated(state.result, plan.config), images)
    return dataclasses.replace(
        curve,
        seconds=seconds,
        probabilities=[[round(p, 5) for p in row] for row in logits.softmax(1).tolist()],
        labels=labels.tolist(),
    )


def _learn_from_drawn_hands(plan: TrainingPlan, epochs: int) -> dict[str, torch.Tensor]:
    """Weights after so many epochs on drawn hands."""
    from handsigns.data.splits import Split
    from handsigns.data.synthetic import draw_hands
    from handsigns.training.train import fit, start

    images, labels = draw_hands(DRAWN, plan.seed, plan.size)
    state = start(dataclasses.replace(plan, max_epochs=epochs))
    for _ in fit(state, Split(images, labels, tuple(map(str, range(DRAWN)))), None):
        pass
    return state.model.state_dict()


class _Averaging:
    """An optimiser after each step of which averages take in the weights."""

    def __init__(
        self, inner: Optimizer, averages: Sequence[WeightAverage], steps: Sequence[float]
    ) -> None:
        self._inner = inner
        self._averages = list(zip(averages, steps, strict=True))

    def clear_gradients(self) -> None:
        self._inner.clear_gradients()

    def step(self, rate: float) -> None:
        self._inner.step(rate)
        for average, steps in self._averages:
            average.update(steps)


def _key(training: Training) -> str:
    """With all hyperparameters and the code: with other defaults, or other code, it is another."""
    config = TrialConfig.from_params(training.params).hyperparameters()
    return json.dumps(dataclasses.asdict(training) | {"config": config, "code": _code()})


@functools.cache
def _code() -> str:
    return str(describe_environment()["code"])


def _append(kept: Path | None, fingerprint: str, training: Training, curve: Curve) -> None:
    if kept is None:
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    line = {"data": fingerprint, "training": _key(training), "curve": dataclasses.asdict(curve)}
    with kept.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _read(kept: Path | None, fingerprint: str) -> dict[str, Curve]:
    lines = events(kept) if kept is not None else []
    return {
        line["training"]: Curve(**line["curve"]) for line in lines if line["data"] == fingerprint
    }
