"""Measures changes of the recommended recipe on folds of training and validation pictures.

    python benchmarks/recipes.py --data my/photographs
    python benchmarks/recipes.py --data my/photographs --only "batch 16,width 24" --seeds 2

Each recipe is trained on the same folds with the same seeds, so that it can be compared with the
recommended one run by run. The test split stays closed. An interval of a difference that holds 0
says that the change may be no good; it is made wider because folds share pictures.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from folds import SMOKE, Curve, Training, fold_options, pictures_of, train_all
from harness import Table, finish, options, parse, ratios

from handsigns.config.hyperparameters import Scalar
from handsigns.data.dataset import open_data
from handsigns.data.folds import Fold
from handsigns.stats.intervals import mean_interval


@dataclass(frozen=True)
class Recipe:
    """What differs from the recommended recipe.

    Attributes:
        changes: of hyperparameters.
        epochs: of training.
        pretrained: epochs on drawn hands before.
    """

    name: str
    changes: dict[str, Scalar] = field(default_factory=dict)
    epochs: int = 36
    pretrained: int = 0


@dataclass(frozen=True)
class Outcome:
    """What was measured of one recipe on one fold at the end: loss, accuracy, seconds it took."""

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
    "learning_rate": 1e-3, "weight_decay": 0.0, "weight_average": 0.0, "schedule": "constant",
    "label_smoothing": 0.0, "rotation": 0.0, "scale": 0.0, "translation": 0.0,
    "color_jitter": 0.0, "test_time_flip": False,
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
    Recipe("width 8 for 144 epochs", {"channel_width": 8}, epochs=144),
    Recipe("width 24", {"channel_width": 24}),
    Recipe("width 32", {"channel_width": 32}),
    Recipe("width 24 for 72 epochs", {"channel_width": 24}, epochs=72),
    Recipe("dropout 0.5", {"dropout": 0.5}),
    Recipe("72 epochs", epochs=72),
    Recipe("weights not averaged", {"weight_average": 0.0}),
    Recipe("12 epochs on drawn hands before", pretrained=12),
    Recipe("sgd", {"optimizer": "sgd", "learning_rate": 5e-2, "weight_decay": 5e-4}),
    Recipe("cosine", {"schedule": "cosine"}),
    Recipe("course network", {"architecture": "course", "channel_width": 32}),
    Recipe("the course's recipe", _COURSE, epochs=10),
)
RECOMMENDED = RECIPES[0].name


def outcome(curve: Curve) -> Outcome:
    """Of one training."""
    return Outcome(curve.loss[-1], curve.accuracy[-1], curve.seconds)


def together(curves: Sequence[Curve]) -> Outcome:
    """Networks that were measured on the same pictures, with their probabilities averaged."""
    labels = curves[0].labels
    rows = [
        [statistics.fmean(column) for column in zip(*rows, strict=True)]
        for rows in zip(*(curve.probabilities for curve in curves), strict=True)
    ]
    losses = [-math.log(max(row[label], 1e-5)) for row, label in zip(rows, labels, strict=True)]
    seconds = sum(curve.seconds for curve in curves)
    right = hits(dataclasses.replace(curves[0], probabilities=rows))
    return Outcome(statistics.fmean(losses), statistics.fmean(right), seconds)


def compare(found: dict[str, list[Outcome]], folds: int) -> Table:
    """Every recipe beside the recommended one, run by run."""
    usual = found[RECOMMENDED]
    rows = []
    for name, outcomes in found.items():
        losses = [one.loss for one in outcomes]
        accuracies = [one.accuracy for one in outcomes]
        times = ratios([one.seconds for one in outcomes], [one.seconds for one in usual])
        rows.append(
            (
                name,
                f"{statistics.fmean(accuracies):.2%}",
                f"{statistics.fmean(losses):.4f}",
                _difference(accuracies, [one.accuracy for one in usual], folds, "%"),
                _difference(losses, [one.loss for one in usual], folds, "f"),
                f"{statistics.fmean(times):.2f}",
            )
        )
    columns = (
        *("recipe", "accuracy", "loss", "difference in accuracy [95 %]"),
        *("difference in loss [95 %]", "time to the recommended"),
    )
    return Table(f"{len(usual)} runs each, on {folds} folds", columns, rows)


HARDEST = 12
"""Pictures that are listed."""


def hardest(
    found: dict[tuple[int, int, int], dict[str, Curve]], data: Path | None, folds: int
) -> Table:
    """The pictures that most trainings get wrong: look at them, their labels may be."""
    opened = open_data(data)
    wrong: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for (_, cut, fold), curves in found.items():
        names = Fold(fold, folds, cut).hold_out(opened.train, opened.val)[1].names
        for curve in curves.values():
            seen.update(names)
            wrong.update(name for name, hit in zip(names, hits(curve), strict=True) if not hit)
    rows = [(name, f"{count} of {seen[name]}") for name, count in wrong.most_common(HARDEST)]
    return Table("The pictures that most trainings get wrong", ("picture", "wrong"), rows)


def hits(curve: Curve) -> list[bool]:
    """Of each picture held out, whether its class is the likeliest."""
    return [
        row.index(max(row)) == label
        for row, label in zip(curve.probabilities, curve.labels, strict=True)
    ]


def _difference(values: list[float], usual: list[float], folds: int, kind: str) -> str:
    differences = [a - b for a, b in zip(values, usual, strict=True)]
    ends = mean_interval(differences, overlap=1 / (folds - 1))
    values = [statistics.fmean(differences), *(ends or ())]
    mean, *interval = (f"{value:+.2%}" if kind == "%" else f"{value:+.4f}" for value in values)
    return f"{mean} [{' to '.join(interval) or 'the same on each'}]"


def main() -> int:
    """Train them all in turns, and print the table."""
    parser = options(__doc__ or "")
    fold_options(parser, folds=5)
    parser.add_argument("--cuts", type=int, default=1, metavar="N", help="cuts into folds")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings on a fold")
    parser.add_argument("--only", metavar="NAMES", help="of recipes, beside the recommended one")
    chosen = parse(parser, seeds=2, only="batch 16", **SMOKE)
    names = chosen.only.split(",") if chosen.only else [recipe.name for recipe in RECIPES]
    unknown = sorted(set(names) - {recipe.name for recipe in RECIPES})
    if unknown:
        parser.error(f"no recipes named {', '.join(unknown)}")
    recipes = [r for r in RECIPES if r.name in names or r.name == RECOMMENDED]
    runs = [
        (seed, cut, fold)
        for seed in range(chosen.seeds)
        for cut in range(chosen.cuts)
        for fold in range(chosen.folds)
    ]
    # In turns, so that a busy hour of the machine meets all of them.
    trainings = [
        Training(
            recipe.changes,
            min(recipe.epochs, chosen.max_epochs or recipe.epochs),
            *(fold, chosen.folds, cut, seed),
            pretrained=recipe.pretrained,
        )
        for seed, cut, fold in runs
        for recipe in recipes
    ]
    with pictures_of(chosen) as data:
        curves = iter(train_all(trainings, data, chosen.jobs, chosen.curves))
        found = {run: {recipe.name: next(curves) for recipe in recipes} for run in runs}
        pictures = hardest(found, data, chosen.folds)
    outcomes = {
        recipe.name: [outcome(found[run][recipe.name]) for run in runs] for recipe in recipes
    }
    tables = [compare(outcomes, chosen.folds), pictures]
    if chosen.seeds > 1:
        tables.append(_ensembles(found, recipes, chosen.folds))
    return finish(tables, [], chosen)


def _ensembles(
    found: dict[tuple[int, int, int], dict[str, Curve]], recipes: Sequence[Recipe], folds: int
) -> Table:
    """Each recipe's seeds together, beside the recommended recipe's first seed alone."""
    places = sorted({(cut, fold) for _, cut, fold in found})
    seeds = 1 + max(seed for seed, _, _ in found)
    usual = [outcome(found[0, *place][RECOMMENDED]) for place in places]
    rows = {RECOMMENDED: usual}
    for recipe in recipes:
        rows[f"{recipe.name}, ensemble of {seeds}"] = [
            together([found[seed, *place][recipe.name] for seed in range(seeds)])
            for place in places
        ]
    return compare(rows, folds)


if __name__ == "__main__":
    raise SystemExit(main())
