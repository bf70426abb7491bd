"""Page and table of a forecast: what a search will take, and where more workers stop paying."""

from __future__ import annotations

from pathlib import Path

from handsigns.config.sections import Objective
from handsigns.console.format import MISSING, format_duration, pluralize
from handsigns.console.progress import no_progress
from handsigns.io.atomic import write_text
from handsigns.policy.forecast import Estimate, Forecast, Target, worthwhile_workers
from handsigns.reporting.figures.plan import time_plot
from handsigns.reporting.page import figures_payload, render
from handsigns.reporting.write import local_timestamp, prepare_folder, write_figures

_WEAK_MODEL = 0.5
"""Explained variance below which a forecast is doubtful."""


def plan_columns(forecast: Forecast) -> tuple[str, ...]:
    """Return the headings of `plan_rows`."""
    cost = ("cost",) if any(estimate.cost is not None for estimate in forecast.estimates) else ()
    return ("workers", "target", "time", "80 % interval", "epochs", "worker-hours", *cost)


def plan_rows(forecast: Forecast) -> list[list[str]]:
    """Return the cells of each estimate."""
    with_cost = "cost" in plan_columns(forecast)
    return [
        [
            str(estimate.workers),
            target_text(forecast, estimate.target),
            _time(estimate.seconds),
            f"{_time(estimate.interval[0])} to {_time(estimate.interval[1])}",
            MISSING if estimate.epochs is None else str(estimate.epochs),
            MISSING if estimate.worker_hours is None else f"{estimate.worker_hours:.3g}",
            *([MISSING if estimate.cost is None else _price(estimate.cost)] if with_cost else ()),
        ]
        for estimate in forecast.estimates
    ]


def target_text(forecast: Forecast, target: Target) -> str:
    """Return a target as text: share and value."""
    return f"best {target.share:.0%} ({_objective(forecast).format(target.value)})"


def verdicts(forecast: Forecast) -> list[str]:
    """Return a sentence for each target that says up to where more workers pay."""
    return [
        f"{target_text(forecast, target).capitalize()}: {_verdict(estimates)}."
        for target, estimates in forecast.by_target.items()
    ]


def _verdict(estimates: tuple[Estimate, ...]) -> str:
    worthwhile = worthwhile_workers(estimates)
    if worthwhile is None:
        return "most of the simulated searches do not reach it"
    if len(estimates) == 1:
        return f"reached in {_time(estimates[0].seconds)}"
    estimate = next(e for e in estimates if e.workers == worthwhile)
    time = f"{_time(estimate.seconds)} with {pluralize(worthwhile, 'worker')}"
    fewer_fail = any(e.seconds is None for e in estimates if e.workers < worthwhile)
    if fewer_fail:
        time += ", and fewer mostly do not reach it within their limit of trials"
    if worthwhile < estimates[-1].workers:
        return f"{time}; beyond, doubling the workers saves less than a third of the time"
    if fewer_fail:
        return time
    return f"{time}; each doubling of the workers up to there saves at least a third"


def notes(forecast: Forecast) -> list[str]:
    """Return what the forecast rests on, and what it leaves out."""
    metric = forecast.metric
    final = "odds of an error" if _objective(forecast).is_score else "final loss"
    errors = f"of the modelled {final} {forecast.model_error:.0%}"
    if forecast.completion_error is not None:
        errors += (
            f", of that of a completed trial extrapolated from where others were paused or "
            f"stopped {forecast.completion_error:.0%} (of poorer trials it is larger)"
        )
    found = [
        f"Simulated over learning curves modelled from {pluralize(forecast.trials, 'trial')} of "
        f"{forecast.name}, {forecast.completed} of them trained to the end. Leave-one-out errors: "
        f"{errors}.",
        "A target is what that share of random configurations reaches; it counts once a trial has "
        "reached it at its last epoch. Intervals are those of simulated searches with different "
        "seeds, without the error of the model.",
        f"A worker trains one trial at a time, as fast as those of {forecast.name}. Starting Ray, "
        f"re-evaluation and retraining are not included.",
    ]
    if forecast.explained_variance < _WEAK_MODEL:
        found.append(
            f"The model explains only {max(0.0, forecast.explained_variance):.0%} of the variance "
            f"of the {final}: plan from more trials."
        )
    objective = _objective(forecast)
    better = [
        f"{target.share:.0%}"
        for target in forecast.by_target
        if objective.to_minimize(target.value) < objective.to_minimize(forecast.best_recorded)
    ]
    if better:
        found.append(
            f"No recorded trial reached the {metric} of the best {' or '.join(better)} (the best "
            f"reached {objective.format(forecast.best_recorded)}): that is extrapolated."
        )
    missed = sum(estimate.reached < estimate.searches for estimate in forecast.estimates)
    if missed:
        found.append(
            f"{MISSING} stands for what simulated searches did not reach within their limit of "
            f"trials."
        )
    return found


def write_plan(forecast: Forecast, folder: Path) -> Path:
    """Write the page and its figure; return the path of the page.

    Raises:
        ResultsError: see `prepare_folder`.
    """
    page = prepare_folder(folder, "forecast of a search")
    figure = time_plot(forecast, [target_text(forecast, target) for target in forecast.by_target])
    write_figures([figure], folder, no_progress)
    text = render(
        "plan.html.j2",
        figures_payload([figure]),
        reload_seconds=None,
        generated_at=local_timestamp(),
        name=forecast.name,
        objective=_objective(forecast).label,
        columns=plan_columns(forecast),
        rows=plan_rows(forecast),
        verdicts=verdicts(forecast),
        notes=notes(forecast),
        figure=figure,
    )
    write_text(page, text)
    return page


def _objective(forecast: Forecast) -> Objective:
    return Objective(metric=forecast.metric)


def _price(cost: float) -> str:
    return f"{cost:.2f}" if cost >= 1 else f"{cost:.2g}"


def _time(seconds: float | None) -> str:
    """Return a duration with two units at most."""
    if seconds is None:
        return MISSING
    unit = 1 if seconds < 600 else 60 if seconds < 86400 else 3600
    return format_duration(max(1, round(seconds / unit)) * unit)
