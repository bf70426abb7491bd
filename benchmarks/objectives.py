"""Measures which objective, and which epoch, tells good configurations from poor ones.

    python benchmarks/objectives.py --data my/photographs
    python benchmarks/objectives.py --space full --configurations 24 --curves results/curves.jsonl

Configurations drawn at random from a search space are trained on the same folds. What an objective
says of them on one fold is held against what they come to on all the others: the rank correlation,
and what is lost by taking the one that it puts first.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from folds import SMOKE, Curve, Training, fold_options, pictures_of, train_all
from harness import Table, finish, options, parse

from handsigns.config.hyperparameters import Scalar
from handsigns.config.load import load_study
from handsigns.config.presets import resolve_space_path
from handsigns.config.search import StudyConfig


@dataclass(frozen=True)
class Objective:
    """A way to score a training after some epoch; lower is better."""

    name: str
    score: Callable[[Curve, int], float]


def _recent(values: Sequence[float], epoch: int, count: int) -> float:
    return statistics.fmean(values[max(0, epoch - count) : epoch])


AVERAGES = (0.5, 1.0)
"""Epochs over which weights are averaged, beside those that are not."""
OBJECTIVES = (
    Objective("loss", lambda curve, e: curve.loss[e - 1]),
    Objective("loss, mean of 3 epochs", lambda curve, e: _recent(curve.loss, e, 3)),
    Objective("lowest loss so far", lambda curve, e: min(curve.loss[:e])),
    Objective("error", lambda curve, e: 1 - curve.accuracy[e - 1]),
    Objective("error, mean of 3 epochs", lambda curve, e: 1 - _recent(curve.accuracy, e, 3)),
    Objective("lowest error so far", lambda curve, e: 1 - max(curve.accuracy[:e])),
    *(
        Objective(
            f"loss, weights averaged over {reach:g} epochs",
            lambda curve, e, number=number: curve.averaged_loss[number][e - 1],  # type: ignore[misc]
        )
        for number, reach in enumerate(AVERAGES)
    ),
    *(
        Objective(
            f"error, weights averaged over {reach:g} epochs",
            lambda curve, e, number=number: 1 - curve.averaged_accuracy[number][e - 1],  # type: ignore[misc]
        )
        for number, reach in enumerate(AVERAGES)
    ),
)
LOSS = OBJECTIVES[0]


def draw(study: StudyConfig, count: int) -> list[dict[str, Scalar]]:
    """Configurations at random; the recommended recipe is the first where the space holds it."""
    from handsigns.policy.sampler import Sampler

    searcher = study.searcher.model_copy(update={"name": "random"})
    budget = study.budget.model_copy(update={"trials": count})
    sampler = Sampler(study.model_copy(update={"searcher": searcher, "budget": budget}))
    chosen = (sampler.suggest() for _ in range(count))
    return [choice.params for choice in chosen if choice is not None]


SHARES = (1 / 18, 1 / 9, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 1)
"""Of the epoch budget, at which early stopping might decide."""


def compare(curves: Sequence[Sequence[Curve]], last: int) -> tuple[Table, Table]:
    """How well each objective ranks: at the end, and earlier.

    Args:
        curves: of each configuration, on each fold.
        last: the epoch budget.
    """
    epochs = sorted({max(1, round(share * last)) for share in SHARES})
    errors = [[1 - curve.accuracy[-1] for curve in folds] for folds in curves]
    losses = [[curve.loss[-1] for curve in folds] for folds in curves]
    at_end = [
        (
            objective.name,
            f"{_correlation(curves, objective, last, errors):.2f}",
            f"{_correlation(curves, objective, last, losses):.2f}",
            f"{_lost(curves, objective, last, errors):.2%}",
            f"{_lost(curves, objective, last, losses):.4f}",
        )
        for objective in OBJECTIVES
    ]
    earlier = [
        (
            objective.name,
            *(f"{_correlation(curves, objective, epoch, losses):.2f}" for epoch in epochs),
        )
        for objective in OBJECTIVES
    ]
    many = f"{len(curves)} configurations on {len(curves[0])} folds"
    return (
        Table(
            f"At the end: {many}",
            ("objective on one fold", "rank correlation with the error on the others",
             "with the loss on the others", "error lost by its first", "loss lost by its first"),
            at_end,
        ),
        Table(
            f"Earlier: rank correlation with the loss at the end on the other folds, {many}",
            ("objective on one fold", *(f"epoch {epoch}" for epoch in epochs)),
            earlier,
        ),
    )  # fmt: skip


def by_folds(curves: Sequence[Sequence[Curve]], last: int) -> Table:
    """What measuring on several folds is worth: each held against one fold that has no part in it.

    Args:
        curves: of each configuration, on each fold; at least three folds.
        last: the epoch budget.
    """
    losses = [[LOSS.score(curve, last) for curve in folds] for folds in curves]
    errors = [[1 - curve.accuracy[last - 1] for curve in folds] for folds in curves]
    folds = range(len(curves[0]))
    rows = []
    for count in range(1, len(folds)):
        correlations, lost, lost_errors = [], [], []
        for apart in folds:
            for used in itertools.combinations([fold for fold in folds if fold != apart], count):
                scores = [statistics.fmean(one[fold] for fold in used) for one in losses]
                wanted = [one[apart] for one in losses]
                first = scores.index(min(scores))
                correlations.append(_spearman(scores, wanted))
                lost.append(wanted[first] - min(wanted))
                lost_errors.append(errors[first][apart] - min(one[apart] for one in errors))
        means = map(statistics.fmean, (correlations, lost_errors, lost))
        correlation, error, loss = means
        rows.append((str(count), f"{correlation:.2f}", f"{error:.2%}", f"{loss:.4f}"))
    return Table(
        f"By the mean loss on several folds, held against another: {len(curves)} configurations",
        ("folds", "rank correlation", "error lost by the first", "loss lost by the first"),
        rows,
    )


def _others(values: Sequence[float], fold: int) -> float:
    return statistics.fmean(value for number, value in enumerate(values) if number != fold)


def _correlation(
    curves: Sequence[Sequence[Curve]],
    objective: Objective,
    epoch: int,
    truth: Sequence[Sequence[float]],
) -> float:
    """Spearman's, between one fold and the others; the mean over the folds."""
    found = []
    for fold in range(len(curves[0])):
        scores = [objective.score(folds[fold], epoch) for folds in curves]
        wanted = [_others(values, fold) for values in truth]
        found.append(_spearman(scores, wanted))
    return statistics.fmean(found)


def _spearman(values: Sequence[float], others: Sequence[float]) -> float:
    """The rank correlation; 0 where all values of one are the same, which tell nothing."""
    if len(set(values)) < 2 or len(set(others)) < 2:
        return 0.0
    return statistics.correlation(_ranks(values), _ranks(others))


def _ranks(values: Sequence[float]) -> list[float]:
    """Ties share their mean rank."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _lost(
    curves: Sequence[Sequence[Curve]],
    objective: Objective,
    epoch: int,
    truth: Sequence[Sequence[float]],
) -> float:
    """How much worse its first is on the other folds than the best there; mean over the folds.

    Where several are first the mean of them is taken, as if one were drawn.
    """
    found = []
    for fold in range(len(curves[0])):
        scores = [objective.score(folds[fold], epoch) for folds in curves]
        wanted = [_others(values, fold) for values in truth]
        first = [want for want, score in zip(wanted, scores, strict=True) if score == min(scores)]
        found.append(statistics.fmean(first) - min(wanted))
    return statistics.fmean(found)


def _configurations(params: Sequence[dict[str, Scalar]], curves: Sequence[list[Curve]]) -> Table:
    """All that were trained, best first by their mean loss."""
    order = sorted(range(len(params)), key=lambda i: _mean(curves[i], lambda c: c.loss[-1]))
    searched = [name for name in params[0] if len({str(found.get(name)) for found in params}) > 1]
    return Table(
        "The configurations, by their mean loss",
        (*searched, "loss", "error", "seconds"),
        [
            (
                *(_short(params[i].get(name)) for name in searched),
                f"{_mean(curves[i], lambda c: c.loss[-1]):.4f}",
                f"{_mean(curves[i], lambda c: 1 - c.accuracy[-1]):.2%}",
                f"{_mean(curves[i], lambda c: c.seconds):.0f}",
            )
            for i in order
        ],
    )


def _short(value: Scalar | None) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def _mean(curves: Sequence[Curve], value: Callable[[Curve], float]) -> float:
    return statistics.fmean(map(value, curves))


def main() -> int:
    """Train them all, and print the tables."""
    parser = options(__doc__ or "")
    fold_options(parser, folds=4)
    parser.add_argument("--space", default="default", help="from which they are drawn")
    parser.add_argument("--configurations", type=int, default=16, metavar="N", help="how many")
    chosen = parse(parser, space="quick", configurations=2, **SMOKE)
    if chosen.folds < 3:
        parser.error("--folds: at least 3, as one is held against two others")
    study = load_study(resolve_space_path(chosen.space))
    last = min(study.budget.max_epochs, chosen.max_epochs or study.budget.max_epochs)
    params = draw(study, chosen.configurations)
    # Fold by fold, so that a busy hour of the machine meets all configurations.
    trainings = {
        (fold, number): Training(
            found | {"weight_average": 0.0}, last, fold, chosen.folds, averages=AVERAGES
        )
        for fold in range(chosen.folds)
        for number, found in enumerate(params)
    }
    with pictures_of(chosen) as data:
        trained = train_all(list(trainings.values()), data, chosen.jobs, chosen.curves)
    curves: list[list[Curve]] = [[] for _ in params]
    for (_, number), curve in zip(trainings, trained, strict=True):
        curves[number].append(curve)
    tables = [*compare(curves, last), by_folds(curves, last), _configurations(params, curves)]
    return finish(tables, [], chosen)


if __name__ == "__main__":
    raise SystemExit(main())
