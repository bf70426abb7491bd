"""Measures changes of the recommended recipe on folds of training and validation pictures.

    python benchmarks/recipes.py --data my/photographs
    python benchmarks/recipes.py --data my/photographs --only "batch 16,width 24" --seeds 2

Each recipe is trained on the same folds with the same seeds, so that it can be compared with the
recommended one run by run. The test split stays closed. An interval of a difference that holds 0
says that the change may be no good; it is made wider because folds share pictures.
"""

from __future__ import annotations

import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness import Table, finish, options, ratios, tell

from handsigns.config.trial import Scalar, TrialConfig
from handsigns.data.folds import hold_out
from handsigns.data.open import open_data
from handsigns.report.interval import mean_interval


@dataclass(frozen=True)
class Recipe:
    """What differs from the recommended recipe, and for how many epochs it trains."""

    name: str
    changes: dict[str, Scalar] = field(default_factory=dict)
    epochs: int = 36


@dataclass(frozen=True)
class Run:
    """One training: its fold's loss, accuracy and the seconds it took."""

    loss: float
    accuracy: float
    seconds: float


_STRONGER: dict[str, Scalar] = {
    "rotation": 25.0, "scale": 0.25, "translation": 0.15, "color_jitter": 0.4,
}  # fmt: skip
_WEAKER: dict[str, Scalar] = {
    "rotation": 8.0, "scale": 0.08, "translation": 0.05, "color_jitter": 0.1,
}  # fmt: skip
_COURSE: dict[str, Scalar] = {
    "architecture": "course", "channel_width": 32, "dropout": 0.8, "optimizer": "adam",
    "learning_rate": 1e-3, "weight_decay": 0.0, "schedule": "constant", "label_smoothing": 0.0,
    "rotation": 0.0, "scale": 0.0, "translation": 0.0, "color_jitter": 0.0,
    "test_time_flip": False,
}  # fmt: skip
RECIPES = (
    Recipe("recommended"),
    Recipe("no test-time flip", {"test_time_flip": False}),
    Recipe("no label smoothing", {"label_smoothing": 0.0}),
    Recipe("label smoothing 0.1", {"label_smoothing": 0.1}),
    Recipe("stronger augmentation", _STRONGER),
    Recipe("weaker augmentation", _WEAKER),
    Recipe("batch 16", {"batch_size": 16}),
    Recipe("batch 64", {"batch_size": 64}),
    Recipe("learning rate 1e-2", {"learning_rate": 1e-2}),
    Recipe("weight decay 0.1", {"weight_decay": 0.1}),
    Recipe("width 8", {"channel_width": 8}),
    Recipe("width 24", {"channel_width": 24}),
    Recipe("dropout 0.5", {"dropout": 0.5}),
    Recipe("72 epochs", epochs=72),
    Recipe("course network", {"architecture": "course", "channel_width": 32}),
    Recipe("the course's recipe", _COURSE, epochs=10),
)
RECOMMENDED = RECIPES[0].name


def train(data: Path | None, recipe: Recipe, fold: int, folds: int, seed: int) -> Run:
    """Train on all folds but one, and measure on that one."""
    import torch

    from handsigns.training.fit import TrainingPlan, fit, start

    torch.set_num_threads(1)
    found = open_data(data)
    pictures, held_out = hold_out((found.train, found.val), fold, folds, seed)
    plan = TrainingPlan(
        config=TrialConfig.from_params(recipe.changes),
        classes=len(found.info.classes),
        size=found.info.size,
        max_epochs=recipe.epochs,
        seed=1000 * seed + fold,
        device=torch.device("cpu"),
    )
    epochs = list(fit(start(plan), pictures, held_out))
    seconds = sum(metrics.epoch_seconds for metrics in epochs)
    return Run(epochs[-1].val_loss, epochs[-1].val_accuracy, seconds)


def compare(runs: dict[str, list[Run]], folds: int) -> Table:
    """Every recipe beside the recommended one."""
    usual = runs[RECOMMENDED]
    rows = []
    for name, found in runs.items():
        losses = [run.loss for run in found]
        times = ratios([run.seconds for run in found], [run.seconds for run in usual])
        rows.append(
            (
                name,
                f"{statistics.fmean(run.accuracy for run in found):.2%}",
                f"{statistics.fmean(losses):.4f}",
                _difference([r.accuracy for r in found], [r.accuracy for r in usual], folds, "%"),
                _difference(losses, [run.loss for run in usual], folds, "f"),
                f"{statistics.fmean(times):.2f}",
            )
        )
    columns = (
        *("recipe", "accuracy", "loss", "difference in accuracy [95 %]"),
        *("difference in loss [95 %]", "time to the recommended"),
    )
    return Table(f"{len(usual)} runs each, on {folds} folds", columns, rows)


def _difference(values: list[float], usual: list[float], folds: int, kind: str) -> str:
    differences = [a - b for a, b in zip(values, usual, strict=True)]
    ends = mean_interval(differences, overlap=1 / (folds - 1))
    if ends is None:
        return ""
    low, mean, high = (
        f"{value:+.2%}" if kind == "%" else f"{value:+.4f}"
        for value in (ends[0], statistics.fmean(differences), ends[1])
    )
    return f"{mean} [{low} to {high}]"


def main() -> int:
    """Train them all in turns, and print the table."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, metavar="DIR", help="None: drawn hands")
    parser.add_argument("--folds", type=int, default=5, metavar="F", help="at least 2")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="cuts into folds")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="trainings at once")
    parser.add_argument("--only", metavar="NAMES", help="of recipes, beside the recommended one")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else [recipe.name for recipe in RECIPES]
    unknown = sorted(set(names) - {recipe.name for recipe in RECIPES})
    if unknown:
        parser.error(f"no recipes named {', '.join(unknown)}")
    recipes = [r for r in RECIPES if r.name in names or r.name == RECOMMENDED]
    open_data(chosen.data)  # decoded once, before all processes want it
    runs: dict[str, list[Run]] = {recipe.name: [] for recipe in recipes}
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for seed in range(chosen.seeds):
            for fold in range(chosen.folds):
                # In turns, so that a busy hour of the machine meets all of them.
                waiting = [
                    pool.submit(train, chosen.data, recipe, fold, chosen.folds, seed)
                    for recipe in recipes
                ]
                for recipe, done in zip(recipes, waiting, strict=True):
                    runs[recipe.name].append(done.result())
                tell(f"seed {seed}, fold {fold}: {len(recipes)} recipes trained")
    return finish([compare(runs, chosen.folds)], [], chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
