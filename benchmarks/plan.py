"""Forecasts of `plan` compared with searches that were then run.

    python benchmarks/plan.py
    python benchmarks/plan.py --seconds 600 --repeats 9 --results results/real

The first of the real searches of `simulation.py` is the pilot: `handsigns plan` forecasts from its
trials when a search like it reaches which losses. The others have the same space, images, workers
and time, and other seeds. The target is that eight of ten of their times lie within the intervals
of 80 %. A loss that a search did not reach in its time contradicts an interval that ends earlier.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence

from harness import Table, Target, at_least, finish, log_progress, make_parser, parse
from real_searches import SPACE, add_arguments, real_searches, timed_epochs

import handsigns
from handsigns.config.load import load_search_config
from handsigns.policy.forecast import Estimate
from handsigns.results.events import Event


def main() -> int:
    """Run the searches, forecast, and print the table."""
    parser = make_parser(__doc__ or "")
    add_arguments(parser)
    args = parse(parser, seconds=90.0, repeats=2)
    if args.repeats < 2:
        parser.error("--repeats: at least 2, as the first search is the pilot")
    with real_searches(args) as searches:
        pilot = next(iter(searches))
        log_progress("forecast from the first search")
        forecast = handsigns.plan(
            pilot.name, workers=[args.workers], results=pilot.parent, reports=None
        )
        last_epoch = load_search_config(SPACE).budget.max_epochs
    others = list(searches.values())[1:]
    times = [
        [_seconds_to(estimate.target.value, events, last_epoch) for events in others]
        for estimate in forecast.estimates
    ]
    table = _table(forecast.estimates, times, args)
    return finish([table], _targets(forecast.estimates, times, args.seconds), args)


def _seconds_to(loss: float, events: Sequence[Event], last_epoch: int) -> float:
    """Return when a trial that was trained to the end reached a loss; infinite if none did."""
    epochs = timed_epochs(events)
    return next(
        (
            seconds
            for seconds, epoch in epochs
            if epoch.metrics.epoch == last_epoch and epoch.metrics.val_loss <= loss
        ),
        math.inf,
    )


def _table(
    estimates: Sequence[Estimate], times: Sequence[Sequence[float]], args: argparse.Namespace
) -> Table:
    rows = [
        (
            f"{estimate.target.share:.0%}",
            f"{estimate.target.value:.4f}",
            _format(estimate.seconds),
            " to ".join(map(_format, estimate.interval)),
            f"{_format(statistics.median(found))} [{_format(min(found))} to {_format(max(found))}]",
            f"{sum(_is_inside(at, estimate, args.seconds) for at in found)} of {len(found)}",
        )
        for estimate, found in zip(estimates, times, strict=True)
    ]
    return Table(
        f"Seconds to a target on {args.workers} workers, searches of {args.seconds:g} s",
        ("target", "loss", "forecast", "80 % interval", f"real, {len(times[0])}", "inside"),
        rows,
    )


def _format(seconds: float | None) -> str:
    return "never" if seconds is None or not math.isfinite(seconds) else f"{seconds:.0f}"


def _is_inside(seconds: float, estimate: Estimate, duration: float) -> bool:
    low, high = (math.inf if end is None else end for end in estimate.interval)
    return low <= seconds <= high if math.isfinite(seconds) else high >= duration


def _targets(
    estimates: Sequence[Estimate], times: Sequence[Sequence[float]], duration: float
) -> list[Target]:
    inside = [
        _is_inside(seconds, estimate, duration)
        for estimate, found in zip(estimates, times, strict=True)
        for seconds in found
    ]
    return [at_least("real times within the intervals of 80 %", statistics.fmean(inside), 0.8)]


if __name__ == "__main__":
    sys.exit(main())
