"""Comparison of objectives, and of epochs, by how well they rank configurations.

    python benchmarks/objectives.py --data my/photographs
    python benchmarks/objectives.py --space full --configurations 24 --curves results/curves.jsonl

Configurations sampled at random from a search space are trained on the same folds. The ranking by
an objective on one fold is compared with the results on all others: the rank correlation, and the
regret of selecting the configuration that is ranked first.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from folds import SMOKE_DEFAULTS, Curve, Training, add_fold_arguments, benchmark_data, train_all
from harness import Table, finish, make_parser, parse

from handsigns.config.hyperparameters import Scalar
from handsigns.config.load import load_search_config
from handsigns.config.presets import resolve_search_space
from handsigns.config.search import SearchConfig


@dataclass(frozen=True)
class Objective:
    """Score of a training after an epoch; lower is better."""

    label: str
    score: Callable[[Curve, int], float]


def _trailing_mean(values: Sequence[float], epoch: int, count: int) -> float:
    return statistics.fmean(values[max(0, epoch - count) : epoch])


EMA_EPOCHS = (0.5, 1.0)
"""Horizons, in epochs, of the weight averages to compare."""
OBJECTIVES = (
    Objective("loss", lambda curve, e: curve.loss[e - 1]),
    Objective("loss, mean of 3 epochs", lambda curve, e: _trailing_mean(curve.loss, e, 3)),
    Objective("lowest loss so far", lambda curve, e: min(curve.loss[:e])),
    Objective("error", lambda curve, e: 1 - curve.accuracy[e - 1]),
    Objective("error, mean of 3 epochs", lambda curve, e: 1 - _trailing_mean(curve.accuracy, e, 3)),
    Objective("lowest error so far", lambda curve, e: 1 - max(curve.accuracy[:e])),
    *(
        Objective(
            f"loss, weights averaged over {horizon:g} epochs",
            lambda curve, e, number=number: curve.ema_loss[number][e - 1],  # type: ignore[misc]
        )
        for number, horizon in enumerate(EMA_EPOCHS)
    ),
    *(
        Objective(
            f"error, weights averaged over {horizon:g} epochs",
            lambda curve, e, number=number: 1 - curve.ema_accuracy[number][e - 1],  # type: ignore[misc]
        )
        for number, horizon in enumerate(EMA_EPOCHS)
    ),
)
LOSS = OBJECTIVES[0]


def sample_configs(search_config: SearchConfig, count: int) -> list[dict[str, Scalar]]:
    """Sample random configurations, after the baseline where the space contains it."""
    from handsigns.policy.sampler import Sampler

    searcher = search_config.searcher.model_copy(update={"name": "random"})
    budget = search_config.budget.model_copy(update={"trials": count})
    sampler = Sampler(search_config.model_copy(update={"searcher": searcher, "budget": budget}))
    specs = (sampler.suggest() for _ in range(count))
    return [spec.params for spec in specs if spec is not None]


BUDGET_FRACTIONS = (1 / 18, 1 / 9, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 1)
"""Fractions of the epoch budget at which early stopping might decide."""


def rank_objectives(curves: Sequence[Sequence[Curve]], max_epochs: int) -> tuple[Table, Table]:
    """Measure how well each objective ranks configurations, at the end and earlier.

    Args:
        curves: curves of each configuration on each fold.
        max_epochs: the epoch budget.
    """
    epochs = sorted({max(1, round(fraction * max_epochs)) for fraction in BUDGET_FRACTIONS})
    errors = [[1 - curve.accuracy[-1] for curve in folds] for folds in curves]
    losses = [[curve.loss[-1] for curve in folds] for folds in curves]
    at_end = [
        (
            objective.label,
            f"{_correlation(curves, objective, max_epochs, errors):.2f}",
            f"{_correlation(curves, objective, max_epochs, losses):.2f}",
            f"{_regret(curves, objective, max_epochs, errors):.2%}",
            f"{_regret(curves, objective, max_epochs, losses):.4f}",
        )
        for objective in OBJECTIVES
    ]
    earlier = [
        (
            objective.label,
            *(f"{_correlation(curves, objective, epoch, losses):.2f}" for epoch in epochs),
        )
        for objective in OBJECTIVES
    ]
    sizes = f"{len(curves)} configurations on {len(curves[0])} folds"
    return (
        Table(
            f"After the last epoch: {sizes}",
            ("objective on one fold", "rank correlation with error on other folds",
             "rank correlation with loss", "error regret of its best", "loss regret"),
            at_end,
        ),
        Table(
            f"Earlier: rank correlation with the final loss on the other folds, {sizes}",
            ("objective on one fold", *(f"epoch {epoch}" for epoch in epochs)),
            earlier,
        ),
    )  # fmt: skip


def num_folds_table(curves: Sequence[Sequence[Curve]], max_epochs: int) -> Table:
    """Measure the benefit of averaging over several folds, compared with a fold left out of them.

    Args:
        curves: curves of each configuration on each fold; at least three folds.
        max_epochs: the epoch budget.
    """
    losses = [[LOSS.score(curve, max_epochs) for curve in folds] for folds in curves]
    errors = [[1 - curve.accuracy[max_epochs - 1] for curve in folds] for folds in curves]
    folds = range(len(curves[0]))
    rows = []
    for count in range(1, len(folds)):
        correlations, loss_regrets, error_regrets = [], [], []
        for left_out in folds:
            used_folds = [fold for fold in folds if fold != left_out]
            for used in itertools.combinations(used_folds, count):
                scores = [statistics.fmean(one[fold] for fold in used) for one in losses]
                truth = [one[left_out] for one in losses]
                first = scores.index(min(scores))
                correlations.append(_spearman(scores, truth))
                loss_regrets.append(truth[first] - min(truth))
                error_regrets.append(errors[first][left_out] - min(one[left_out] for one in errors))
        means = map(statistics.fmean, (correlations, error_regrets, loss_regrets))
        correlation, error, loss = means
        rows.append((str(count), f"{correlation:.2f}", f"{error:.2%}", f"{loss:.4f}"))
    return Table(
        f"Mean loss on several folds, compared with another fold: {len(curves)} configurations",
        ("folds averaged", "rank correlation with loss on another fold",
         "error regret of the best", "loss regret"),
        rows,
    )  # fmt: skip


def _mean_of_others(values: Sequence[float], fold: int) -> float:
    return statistics.fmean(value for number, value in enumerate(values) if number != fold)


def _correlation(
    curves: Sequence[Sequence[Curve]],
    objective: Objective,
    epoch: int,
    truth: Sequence[Sequence[float]],
) -> float:
    """Return Spearman's correlation of one fold and the others, averaged over the folds."""
    correlations = []
    for fold in range(len(curves[0])):
        scores = [objective.score(folds[fold], epoch) for folds in curves]
        true_values = [_mean_of_others(values, fold) for values in truth]
        correlations.append(_spearman(scores, true_values))
    return statistics.fmean(correlations)


def _spearman(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the rank correlation; 0 where it is undefined, as all values of one are equal."""
    if len(set(values)) < 2 or len(set(others)) < 2:
        return 0.0
    return statistics.correlation(_ranks(values), _ranks(others))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the ranks; ties share their mean rank."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _regret(
    curves: Sequence[Sequence[Curve]],
    objective: Objective,
    epoch: int,
    truth: Sequence[Sequence[float]],
) -> float:
    """Return the regret of the first-ranked configuration on the other folds, averaged over folds.

    Where several tie for first place, their mean is taken, as if one were selected at random.
    """
    regrets = []
    for fold in range(len(curves[0])):
        scores = [objective.score(folds[fold], epoch) for folds in curves]
        true_values = [_mean_of_others(values, fold) for values in truth]
        ranked = zip(true_values, scores, strict=True)
        first = [true_value for true_value, score in ranked if score == min(scores)]
        regrets.append(statistics.fmean(first) - min(true_values))
    return statistics.fmean(regrets)


def _config_table(params: Sequence[dict[str, Scalar]], curves: Sequence[list[Curve]]) -> Table:
    """Return the table of all configurations, sorted by mean loss."""
    order = sorted(range(len(params)), key=lambda i: _mean(curves[i], lambda c: c.loss[-1]))
    searched = [name for name in params[0] if len({str(one.get(name)) for one in params}) > 1]
    return Table(
        "Configurations by mean loss",
        (*searched, "loss", "error", "seconds"),
        [
            (
                *(_format_value(params[i].get(name)) for name in searched),
                f"{_mean(curves[i], lambda c: c.loss[-1]):.4f}",
                f"{_mean(curves[i], lambda c: 1 - c.accuracy[-1]):.2%}",
                f"{_mean(curves[i], lambda c: c.seconds):.0f}",
            )
            for i in order
        ],
    )


def _format_value(value: Scalar | None) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def _mean(curves: Sequence[Curve], value: Callable[[Curve], float]) -> float:
    return statistics.fmean(map(value, curves))


def main() -> int:
    """Train all configurations on all folds, and print the tables."""
    parser = make_parser(__doc__ or "")
    add_fold_arguments(parser, folds=4)
    parser.add_argument("--space", default="default", help="search space to sample from")
    parser.add_argument(
        "--configurations", type=int, default=16, metavar="N", help="number of configurations"
    )
    args = parse(parser, space="quick", configurations=2, **SMOKE_DEFAULTS)
    if args.folds < 3:
        parser.error("--folds: at least 3, as one is compared with two others")
    search_config = load_search_config(resolve_search_space(args.space))
    max_epochs = search_config.budget.max_epochs
    max_epochs = min(max_epochs, args.max_epochs or max_epochs)
    params = sample_configs(search_config, args.configurations)
    # Fold by fold, so that other load on the machine affects all configurations alike.
    trainings = {
        (fold, number): Training(
            config_params | {"ema_epochs": 0.0}, max_epochs, fold, args.folds, ema_epochs=EMA_EPOCHS
        )
        for fold in range(args.folds)
        for number, config_params in enumerate(params)
    }
    with benchmark_data(args) as data:
        trained = train_all(list(trainings.values()), data, args.jobs, args.curves)
    curves: list[list[Curve]] = [[] for _ in params]
    for (_, number), curve in zip(trainings, trained, strict=True):
        curves[number].append(curve)
    tables = [
        *rank_objectives(curves, max_epochs),
        num_folds_table(curves, max_epochs),
        _config_table(params, curves),
    ]
    return finish(tables, [], args)


if __name__ == "__main__":
    raise SystemExit(main())
