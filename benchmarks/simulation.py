"""Simulated searches compared with real ones: the same space, images, workers and time.

    python benchmarks/simulation.py
    python benchmarks/simulation.py --seconds 600 --repeats 5 --figure docs/explanation

Real searches of the space `default` run on the synthetic hands of 24 pixels of which `curves.py`
recorded learning curves; simulated ones have the same configuration, with the overhead of a trial
and of a report that the real ones had, and epochs that take as long. The table compares the best
loss so far; with --figure, simulation.svg shows it. A target is met if the median of the real
searches lies within the range of nine tenths of the medians of as many simulated ones.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from curves import CURVES
from harness import (
    Table,
    Target,
    at_least,
    finish,
    log_progress,
    make_parser,
    parse,
    temporary_folder,
)
from real_searches import DATA, add_arguments, real_searches, timed_epochs
from recorded_curves import load_model, timed_config
from simulated import ours

from handsigns.config.hyperparameters import Scalar
from handsigns.policy.learning_curves import LearningCurve, LearningCurveModel
from handsigns.policy.simulation import SimulatedSearch, SimulatedWorkers
from handsigns.reporting.figures.figure import Rows
from handsigns.results.events import (
    EpochReported,
    Event,
    TrialStarted,
)

CHECKPOINTS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the time at which searches are compared."""
NUM_POINTS = 100
"""Points of a curve in the figure."""
BAND = (0.05, 0.95)
"""Quantiles of the simulated searches that a real one is compared with."""


@dataclass(frozen=True)
class Run:
    """Search, real or simulated.

    Attributes:
        losses: (seconds, validation loss) of every epoch, by time.
        trials: number of trials.
    """

    losses: list[tuple[float, float]]
    trials: int

    def best(self, seconds: float) -> float:
        """Return the best loss so far; infinite before the first epoch."""
        return min((loss for at, loss in self.losses if at <= seconds), default=float("inf"))


@dataclass(frozen=True)
class Costs:
    """Durations in the real searches.

    Attributes:
        slowness: seconds of an epoch relative to its recorded CPU seconds.
        report_seconds: median seconds from an epoch's end to the next one of the same trial.
        start_seconds: how much longer it takes to the first one of another trial on that worker.
    """

    slowness: float
    report_seconds: float
    start_seconds: float


class ScaledCurves:
    """Learning curves whose epochs take a multiple of the recorded time; a `CurveSource`."""

    def __init__(self, model: LearningCurveModel, slowness: float) -> None:
        self._model, self._slowness = model, slowness

    def predict(self, params: dict[str, Scalar], seed: int | None = None) -> LearningCurve:
        """Return the learning curve of a configuration."""
        curve = self._model.predict(params, seed)
        return replace(curve, epoch_seconds=curve.epoch_seconds * self._slowness)


def main() -> int:
    """Run and simulate the searches, and print the table."""
    parser = make_parser(__doc__ or "")
    add_arguments(parser)
    parser.add_argument("--simulated", type=int, default=100, help="simulated searches")
    parser.add_argument("--figure", type=Path, metavar="FOLDER", help="write simulation.svg there")
    args = parse(parser, seconds=30.0, repeats=1, simulated=3)
    if args.simulated < args.repeats:
        parser.error("--simulated: at least as many as --repeats, with which they are compared")
    path = CURVES / f"{DATA}-default.parquet"
    model = load_model(path)
    with real_searches(args) as searches:
        histories = list(searches.values())
    real = [_to_run(history) for history in histories]
    costs = _measure_costs(histories, model)
    # Real searches begin to train seconds after their time begins.
    seconds = min(run.losses[-1][0] for run in real)
    log_progress(f"{args.simulated} simulated searches; {costs}")
    curves = ScaledCurves(model, costs.slowness)
    workers = SimulatedWorkers(args.workers, costs.start_seconds, costs.report_seconds)
    simulated = [_simulate(path, curves, workers, n, seconds) for n in range(args.simulated)]
    if args.figure:
        _write_figure(real, simulated, seconds, args.figure)
    table = _table(real, simulated, args.workers, seconds)
    return finish([table], _targets(real, simulated, seconds), args)


def _to_run(events: Sequence[Event]) -> Run:
    epochs = timed_epochs(events)
    losses = [(seconds, epoch.metrics.val_loss) for seconds, epoch in epochs]
    return Run(losses, len({epoch.trial_id for _, epoch in epochs}))


def _measure_costs(histories: Sequence[Sequence[Event]], model: LearningCurveModel) -> Costs:
    slowness: list[float] = []
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for events in histories:
        predicted: dict[str, float] = {}
        last: dict[str, EpochReported] = {}
        for event in events:
            if isinstance(event, TrialStarted):
                predicted[event.spec.trial_id] = model.predict(event.spec.params).epoch_seconds
            if isinstance(event, EpochReported):
                seconds, worker = event.metrics.epoch_seconds, event.placement.node
                slowness.append(seconds / predicted[event.trial_id])
                if worker in last:
                    same_trial = event.trial_id == last[worker].trial_id
                    gaps[same_trial].append(event.time - last[worker].time - seconds)
                last[worker] = event
    report, between = (max(0.0, statistics.median(gaps[same])) for same in (True, False))
    return Costs(statistics.median(slowness), report, max(0.0, between - report))


def _simulate(
    path: Path, curves: ScaledCurves, workers: SimulatedWorkers, seed: int, seconds: float
) -> Run:
    config = timed_config(path, seed, seconds)
    search = SimulatedSearch(config, *ours(config), curves, replace(workers, seed=seed))
    losses = [(epoch.seconds, epoch.metrics.val_loss) for epoch in search.run()]
    return Run(losses, len(search.trials))


def _table(real: Sequence[Run], simulated: Sequence[Run], workers: int, duration: float) -> Table:
    quantities: list[tuple[str, str, Callable[[Run], float]]] = [
        *(
            (f"best loss at {share:.0%}", ".4f", lambda run, at=share * duration: run.best(at))
            for share in CHECKPOINTS
        ),
        ("trials", ".0f", lambda run: run.trials),
        ("epochs", ".0f", lambda run: sum(at <= duration for at, _ in run.losses)),
    ]
    rows = [
        (
            name,
            _median_and_range(list(map(quantity, real)), spec, (0.0, 1.0)),
            _median_and_range(list(map(quantity, simulated)), spec, BAND),
        )
        for name, spec, quantity in quantities
    ]
    return Table(
        f"Searches of {duration:.0f} s on {workers} workers",
        ("quantity", f"real, {len(real)} (all)", f"simulated, {len(simulated)} (nine tenths)"),
        rows,
    )


def _quantiles(values: Sequence[float], limits: tuple[float, float]) -> tuple[float, float, float]:
    """Return the lower limit, median and upper limit; values may be infinite."""
    low, median, high = np.quantile(values, [limits[0], 0.5, limits[1]], method="nearest")
    return float(low), float(median), float(high)


def _median_and_range(values: Sequence[float], spec: str, limits: tuple[float, float]) -> str:
    low, median, high = _quantiles(values, limits)
    return f"{median:{spec}} [{low:{spec}} to {high:{spec}}]"


def _targets(real: Sequence[Run], simulated: Sequence[Run], seconds: float) -> list[Target]:
    """Compare the median of the real searches with the medians of as many simulated ones."""
    size = len(real)
    groups = [simulated[n : n + size] for n in range(0, len(simulated) - size + 1, size)]
    inside = []
    for share in CHECKPOINTS:
        median, *medians = (
            statistics.median(run.best(share * seconds) for run in group)
            for group in (real, *groups)
        )
        low, _, high = _quantiles(medians, BAND)
        inside.append(low <= median <= high)
    return [
        at_least(
            "checkpoints at which real searches are as simulated", statistics.fmean(inside), 1.0
        )
    ]


def _write_figure(
    real: Sequence[Run], simulated: Sequence[Run], seconds: float, folder: Path
) -> None:
    """Write simulation.svg: the best loss so far, real searches as lines, simulated as a band."""
    import altair as alt

    from handsigns.reporting.figures.figure import make_figure, write_figure
    from handsigns.reporting.figures.scales import log_ticks

    # From where every search has a loss.
    first = max(run.losses[0][0] for run in (*real, *simulated))
    times = [float(at) for at in np.geomspace(first, seconds, NUM_POINTS)]
    band: Rows = []
    for at in times:
        low, median, high = _quantiles([run.best(at) for run in simulated], BAND)
        band.append({"seconds": at, "low": low, "loss": median, "high": high})
    lines: Rows = [
        {"search": f"real {number}", "seconds": at, "loss": run.best(at)}
        for number, run in enumerate(real, 1)
        for at in times
    ]
    losses = [row[key] for row in band for key in ("low", "high")] + [r["loss"] for r in lines]
    x = alt.X("seconds:Q", title="seconds", scale=alt.Scale(type="log", nice=False))
    y = alt.Y(
        "loss:Q",
        title="best validation loss so far",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(values=log_ticks(min(losses), max(losses)), format="~g"),
    )
    simulated_base = alt.Chart(alt.NamedData("band")).encode(x=x)
    chart = (
        simulated_base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q"), y2="high:Q")
        + simulated_base.mark_line(strokeWidth=2.5, strokeDash=[6, 4]).encode(y=y)
        + alt.Chart(alt.NamedData("lines"))
        .mark_line(strokeWidth=1.5, interpolate="step-after")
        .encode(x=x, y=y, color=alt.Color("search:N", title=None))
    )
    figure = make_figure(
        "simulation",
        "Real and simulated searches",
        f"Best validation loss over time of {len(real)} real searches, and the range of "
        f"{len(simulated)} simulated ones.",
        chart.properties(width="container", height=320),
        {"band": band, "lines": lines},
    )
    with temporary_folder() as rendered:
        write_figure(figure, rendered)
        shutil.copy(rendered / "simulation.svg", folder)


if __name__ == "__main__":
    sys.exit(main())
