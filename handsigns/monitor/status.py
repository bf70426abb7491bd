"""Status of a search as text, for its live display and for `watch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from handsigns.config.search import SearchConfig
from handsigns.config.sections import Objective
from handsigns.console.format import format_duration, format_metric, format_value, pluralize
from handsigns.metrics import EpochMetrics, Metric
from handsigns.monitor.text_charts import progress_bar
from handsigns.policy.improvement import describe_improvement
from handsigns.results.savings import EarlyStoppingSavings
from handsigns.results.trial import Status, TrialRecord

STATUS_LABELS: dict[Status, str] = {
    "completed": "completed",
    "stopped": "stopped early",
    "paused": "paused",
    "diverged": "diverged",
    "failed": "failed",
}
"""Labels of the statuses of trials that do not run."""


@dataclass(frozen=True)
class SearchStatus:
    """Status of a search.

    Attributes:
        config: resolved configuration of the search.
        num_trials: trials started so far.
        status_counts: number of finished and paused trials by status.
        savings: epochs trained, and epochs saved by early stopping.
        best: the best trial, which may have no result; None if there is none.
        elapsed: seconds of the latest session.
        remaining: remaining seconds of the time budget; None if there is none.
        running: whether trials are being trained.
        best_terminal: the best finished trial, whose result does not change; None before the first
            with a result.
        elapsed_before: seconds of earlier sessions.
        num_ended_before_session: trials finished in earlier sessions.
        winner_changes: elapsed seconds, over all sessions, at which the best completed trial
            changed.
    """

    config: SearchConfig
    num_trials: int
    status_counts: Mapping[Status, int]
    savings: EarlyStoppingSavings
    best: TrialRecord | None
    elapsed: float
    remaining: float | None
    running: bool = True
    best_terminal: TrialRecord | None = None
    elapsed_before: float = 0.0
    num_ended_before_session: int = 0
    winner_changes: Sequence[float] = ()

    @property
    def num_finished(self) -> int:
        """Number of finished trials; see `TrialRecord.is_finished`."""
        return sum(self.status_counts.values())

    @property
    def counts_line(self) -> str:
        """Number of running trials, and of the others by status."""
        active = (
            f"{self.num_trials - self.num_finished} {'running' if self.running else 'unfinished'}"
        )
        parts = [
            f"{self.status_counts[s]} {name}"
            for s, name in STATUS_LABELS.items()
            if self.status_counts.get(s)
        ]
        return ", ".join([active, *parts])

    @property
    def epochs_line(self) -> str:
        """Epochs trained, and epochs saved by early stopping."""
        trained = pluralize(self.savings.trained_epochs, "epoch")
        return f"{trained} trained, {self.savings.saved_epochs} saved by early stopping"

    @property
    def time_line(self) -> str:
        """Elapsed time, and an estimate of the remaining time.

        The estimate is extrapolated from the seconds and the finished trials of this session
        alone; before the first of these it is the rest of the time budget, if any.
        """
        ends = [] if self.remaining is None else [self.remaining]
        ended = self.num_finished - self.num_ended_before_session
        if ended > 0:
            ends.append(
                self.elapsed / ended * max(0, self.config.budget.trials - self.num_finished)
            )
        estimate = min(ends, default=0.0) if self.running else 0.0
        return time_text(self.elapsed, self.elapsed_before, estimate)

    @property
    def improvement_line(self) -> str:
        """Chance that more time brings a better winner; empty before a trial is completed."""
        return describe_improvement(self.winner_changes, self.elapsed_before + self.elapsed)

    @property
    def best_line(self) -> str:
        """The best trial, with its result and its searched hyperparameters."""
        return best_line(self.best, self.config)

    @property
    def progress_line(self) -> str:
        """Numbers of trials, best result and time."""
        objective = self.config.objective
        last = self.best_terminal.last_epoch if self.best_terminal else None
        score = (
            f", best {objective.metric} {objective.format(objective.value_of(last))}"
            if last
            else ""
        )
        done = f"{self.num_finished}/{pluralize(self.config.budget.trials, 'trial')} finished"
        return f"{done}, {self.counts_line}{score}, {self.time_line}"

    def lines(self, bar_width: int = 30) -> Iterator[Text]:
        """Yield the lines of a live block, the first a progress bar of `bar_width` columns."""
        yield progress_bar(self.num_finished, self.config.budget.trials, "trial", bar_width)
        yield Text(self.counts_line)
        yield Text(self.best_line, style="bold")
        yield Text(f"{self.epochs_line} · {self.time_line}", style="dim")
        if self.improvement_line:
            yield Text(self.improvement_line, style="dim")


def time_text(elapsed: float, elapsed_before: float, estimate: float) -> str:
    """Return the elapsed and remaining time as text.

    Args:
        elapsed: seconds of this session.
        elapsed_before: seconds of earlier sessions.
        estimate: estimate of the remaining seconds; 0 if unknown.
    """
    text = f"{format_duration(round(elapsed))} elapsed"
    if elapsed_before:
        total = format_duration(round(elapsed_before + elapsed))
        text = f"{text} in this session, {total} in total"
    remaining = round(estimate)
    return f"{text}, about {format_duration(remaining)} remaining" if remaining else text


def best_line(best: TrialRecord | None, search_config: SearchConfig) -> str:
    """Return a line on the best trial, with its result and its searched hyperparameters."""
    if best is None or not best.has_result:
        return "no trial has a result yet"
    last, params = best.epochs[-1], best.params
    varied = [name for name in search_config.space.searched_names if name in params]
    values = ", ".join(f"{name} {format_value(params[name], 3)}" for name in varied)
    objective = search_config.objective
    scores = _metrics_text(last, objective.metric, objective.score, "val_accuracy", "val_loss")
    return f"best: trial {best.trial_id}, {scores} after epoch {last.epoch} ({values})"


def describe_outcome(record: TrialRecord, objective: Objective) -> str:
    """Return a trial's final status, with the metrics of its last epoch."""
    last = record.last_epoch
    text = STATUS_LABELS.get(record.status, record.status)
    if last is None:
        return f"{text} before its first epoch finished"
    scores = _metrics_text(last, objective.score, "val_accuracy", "val_loss")
    return f"{text} after {pluralize(last.epoch, 'epoch')}: {scores}"


def _metrics_text(metrics: EpochMetrics, *names: Metric) -> str:
    return ", ".join(
        f"{name} {format_metric(name, getattr(metrics, name))}" for name in dict.fromkeys(names)
    )
