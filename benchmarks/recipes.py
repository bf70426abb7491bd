"""Ablations of the recommended recipe on folds of training and validation images.

    python benchmarks/recipes.py --data my/photographs
    python benchmarks/recipes.py --data my/photographs --only "batch 16,width 24" --seeds 2

Each recipe is trained on the same folds with the same seeds, for paired differences from the
recommended one. The test split is never opened. A confidence interval of a difference that contains
0 shows no evidence of an improvement; it is corrected for the images that folds share.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from folds import SMOKE_DEFAULTS, Curve, Training, add_fold_arguments, benchmark_data, train_all
from harness import Table, finish, make_parser, parse, ratios

from handsigns.config.hyperparameters import Scalar
from handsigns.data.dataset import open_data
from handsigns.data.folds import Fold
from handsigns.stats.intervals import mean_confidence_interval


@dataclass(frozen=True)
class Recipe:
    """Recipe, as a change of the recommended one.

    Attributes:
        name: name of the recipe.
        changes: changed hyperparameters.
        epochs: number of training epochs.
        pretrain_epochs: number of epochs of pretraining on synthetic hands.
    """

    name: str
    changes: dict[str, Scalar] = field(default_factory=dict)
    epochs: int = 36
    pretrain_epochs: int = 0


@dataclass(frozen=True)
class FoldResult:
    """Final loss and accuracy of a recipe on a fold, and the seconds of its training."""

    loss: float
    accuracy: float
    seconds: float


_STRONGER: dict[str, Scalar] = {
    "rotation": 25.0, "scale": 0.25, "translation": 0.15, "color_jitter": 0.4,
}  # fmt: skip
_WEAKER: dict[str, Scalar] = {
    "rotation": 8.0, "scale": 0.08, "translation": 0.05, "color_jitter": 0.1,
}  # fmt: skip
_CS230: dict[str, Scalar] = {
    "architecture": "cs230", "channel_width": 32, "dropout": 0.8, "optimizer": "adam",
    "learning_rate": 1e-3, "weight_decay": 0.0, "ema_epochs": 0.0, "schedule": "constant",
    "label_smoothing": 0.0, "rotation": 0.0, "scale": 0.0, "translation": 0.0,
    "color_jitter": 0.0, "flip_tta": False,
}  # fmt: skip
RECIPES = (
    Recipe("recommended"),
    Recipe("no flip TTA", {"flip_tta": False}),
    Recipe("no label smoothing", {"label_smoothing": 0.0}),
    Recipe("label smoothing 0.1", {"label_smoothing": 0.1}),
    Recipe("stronger augmentation", _STRONGER),
    Recipe("weaker augmentation", _WEAKER),
    Recipe("batch 16", {"batch_size": 16}),
    Recipe("batch 64", {"batch_size": 64}),
    Recipe("learning rate 1e-2", {"learning_rate": 1e-2}),
    Recipe("weight decay 0.1", {"weight_decay": 0.1}),
    Recipe("width 8", {"channel_width": 8}),
    Recipe("width 8 for 144 epochs", {"channel_width": 8}, epochs=144),
    Recipe("width 24", {"channel_width": 24}),
    Recipe("width 32", {"channel_width": 32}),
    Recipe("width 24 for 72 epochs", {"channel_width": 24}, epochs=72),
    Recipe("dropout 0.5", {"dropout": 0.5}),
    Recipe("72 epochs", epochs=72),
    Recipe("no weight averaging", {"ema_epochs": 0.0}),
    Recipe("pretraining: 12 epochs on synthetic hands", pretrain_epochs=12),
    Recipe("SGD", {"optimizer": "sgd", "learning_rate": 5e-2, "weight_decay": 5e-4}),
    Recipe("cosine schedule", {"schedule": "cosine"}),
    Recipe("CS230 model", {"architecture": "cs230", "channel_width": 32}),
    Recipe("CS230 model and recipe", _CS230, epochs=10),
)
RECOMMENDED = RECIPES[0].name


def fold_result(curve: Curve) -> FoldResult:
    """Return the final result of a training."""
    return FoldResult(curve.loss[-1], curve.accuracy[-1], curve.seconds)


def ensemble_result(curves: Sequence[Curve]) -> FoldResult:
    """Return the result of an ensemble: probabilities averaged over models on the same images."""
    labels = curves[0].labels
    rows = [
        [statistics.fmean(column) for column in zip(*rows, strict=True)]
        for rows in zip(*(curve.probabilities for curve in curves), strict=True)
    ]
    losses = [-math.log(max(row[label], 1e-5)) for row, label in zip(rows, labels, strict=True)]
    seconds = sum(curve.seconds for curve in curves)
    correct = is_correct(dataclasses.replace(curves[0], probabilities=rows))
    return FoldResult(statistics.fmean(losses), statistics.fmean(correct), seconds)


def comparison_table(results: dict[str, list[FoldResult]], folds: int) -> Table:
    """Compare every recipe with the recommended one by paired differences."""
    baseline = results[RECOMMENDED]
    rows = []
    for name, runs in results.items():
        losses = [run.loss for run in runs]
        accuracies = [run.accuracy for run in runs]
        times = ratios([run.seconds for run in runs], [run.seconds for run in baseline])
        rows.append(
            (
                name,
                f"{statistics.fmean(accuracies):.2%}",
                f"{statistics.fmean(losses):.4f}",
                _difference(accuracies, [run.accuracy for run in baseline], folds, "%"),
                _difference(losses, [run.loss for run in baseline], folds, "f"),
                f"{statistics.fmean(times):.2f}",
            )
        )
    columns = (
        *("recipe", "accuracy", "loss", "difference in accuracy [95 % CI]"),
        *("difference in loss [95 % CI]", "relative time"),
    )
    return Table(f"{len(baseline)} runs each, on {folds} folds", columns, rows)


NUM_HARDEST = 12
"""Number of images that are listed."""


def hardest_images(
    curves_by_run: dict[tuple[int, int, int], dict[str, Curve]], data: Path | None, folds: int
) -> Table:
    """List the images that most trainings misclassify, as candidates for label errors."""
    data_set = open_data(data)
    misclassified: Counter[str] = Counter()
    evaluated: Counter[str] = Counter()
    for (_, split_seed, fold), curves in curves_by_run.items():
        names = Fold(fold, folds, split_seed).hold_out(data_set.train, data_set.val)[1].names
        for curve in curves.values():
            evaluated.update(names)
            misclassified.update(
                name for name, correct in zip(names, is_correct(curve), strict=True) if not correct
            )
    hardest = misclassified.most_common(NUM_HARDEST)
    rows = [(name, f"{count} of {evaluated[name]}") for name, count in hardest]
    return Table("Images that most trainings misclassify", ("image", "misclassified"), rows)


def is_correct(curve: Curve) -> list[bool]:
    """Return, for each held-out image, whether its class has the highest probability."""
    return [
        row.index(max(row)) == label
        for row, label in zip(curve.probabilities, curve.labels, strict=True)
    ]


def _difference(values: list[float], baseline: list[float], folds: int, kind: str) -> str:
    differences = [a - b for a, b in zip(values, baseline, strict=True)]
    ends = mean_confidence_interval(differences, test_train_ratio=1 / (folds - 1))
    values = [statistics.fmean(differences), *(ends or ())]
    mean, *interval = (f"{value:+.2%}" if kind == "%" else f"{value:+.4f}" for value in values)
    return f"{mean} [{' to '.join(interval) or 'identical on each fold'}]"


def main() -> int:
    """Train all recipes, interleaved, and print the tables."""
    parser = make_parser(__doc__ or "")
    add_fold_arguments(parser, folds=5)
    parser.add_argument(
        "--splits", type=int, default=1, metavar="N", help="random partitions into folds"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings per fold")
    parser.add_argument(
        "--only", metavar="NAMES", help="comma-separated recipes to compare with the recommended"
    )
    args = parse(parser, seeds=2, only="batch 16", **SMOKE_DEFAULTS)
    names = args.only.split(",") if args.only else [recipe.name for recipe in RECIPES]
    unknown = sorted(set(names) - {recipe.name for recipe in RECIPES})
    if unknown:
        parser.error(f"no recipes named {', '.join(unknown)}")
    recipes = [r for r in RECIPES if r.name in names or r.name == RECOMMENDED]
    runs = [
        (seed, split_seed, fold)
        for seed in range(args.seeds)
        for split_seed in range(args.splits)
        for fold in range(args.folds)
    ]
    # Interleaved, so that other load on the machine affects all recipes alike.
    trainings = [
        Training(
            recipe.changes,
            min(recipe.epochs, args.max_epochs or recipe.epochs),
            *(fold, args.folds, split_seed, seed),
            pretrain_epochs=recipe.pretrain_epochs,
        )
        for seed, split_seed, fold in runs
        for recipe in recipes
    ]
    with benchmark_data(args) as data:
        curves = iter(train_all(trainings, data, args.jobs, args.curves))
        curves_by_run = {run: {recipe.name: next(curves) for recipe in recipes} for run in runs}
        hardest = hardest_images(curves_by_run, data, args.folds)
    results = {
        recipe.name: [fold_result(curves_by_run[run][recipe.name]) for run in runs]
        for recipe in recipes
    }
    tables = [comparison_table(results, args.folds), hardest]
    if args.seeds > 1:
        tables.append(_ensembles(curves_by_run, recipes, args.folds))
    return finish(tables, [], args)


def _ensembles(
    curves_by_run: dict[tuple[int, int, int], dict[str, Curve]],
    recipes: Sequence[Recipe],
    folds: int,
) -> Table:
    """Compare each recipe's ensemble over seeds with the recommended recipe's first seed."""
    splits = sorted({(split_seed, fold) for _, split_seed, fold in curves_by_run})
    seeds = 1 + max(seed for seed, _, _ in curves_by_run)
    results = {
        RECOMMENDED: [fold_result(curves_by_run[0, *split][RECOMMENDED]) for split in splits]
    }
    for recipe in recipes:
        results[f"{recipe.name}, ensemble of {seeds}"] = [
            ensemble_result([curves_by_run[seed, *split][recipe.name] for seed in range(seeds)])
            for split in splits
        ]
    return comparison_table(results, folds)


if __name__ == "__main__":
    raise SystemExit(main())
