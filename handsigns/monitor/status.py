"""How a search stands, in words: for the display of a running one and for whoever watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from handsigns.config.search import StudyConfig
from handsigns.console.format import format_duration, percent, value_text
from handsigns.results.trial import Status, TrialRecord

STATUS: dict[Status, str] = {
    "completed": "completed",
    "stopped": "stopped early",
    "diverged": "diverged",
    "failed": "failed",
}
"""Of trials that ended."""


@dataclass(frozen=True)
class SearchStatus:
    """A search as it stands.

    Attributes:
        study: the search, resolved.
        trials: started so far.
        ended: how many trials ended in which way.
        epochs: trained, by all trials.
        ended_epochs: trained, by the trials that ended.
        best: the best trial; None before the first epoch.
        elapsed: seconds, of the session or of the search.
        left: seconds of the time budget that remain; None where there is none.
        running: whether trials are trained at the moment.
    """

    study: StudyConfig
    trials: int
    ended: Mapping[Status, int]
    epochs: int
    ended_epochs: int
    best: TrialRecord | None
    elapsed: float
    left: float | None
    running: bool = True

    @property
    def done(self) -> int:
        """How many trials ended."""
        return sum(self.ended.values())

    @property
    def counts(self) -> str:
        """How many trials are running, and how the others ended."""
        going = f"{self.trials - self.done} {'running' if self.running else 'unfinished'}"
        parts = [f"{self.ended[s]} {name}" for s, name in STATUS.items() if self.ended.get(s)]
        return ", ".join([going, *parts])

    @property
    def savings(self) -> str:
        """Epochs trained, and those that early stopping saved."""
        saved = self.done * self.study.budget.max_epochs - self.ended_epochs
        return f"{self.epochs} epochs trained, {saved} saved by early stopping"

    @property
    def time(self) -> str:
        """How long it has been running, and about how long it will."""
        text = f"{format_duration(round(self.elapsed))} gone"
        ends = [] if self.left is None else [self.left]
        if self.done:
            ends.append(max(0.0, self.elapsed / self.done * (self.study.budget.trials - self.done)))
        if not self.running or not ends:
            return text
        return f"{text}, about {format_duration(round(min(ends)))} left"

    @property
    def best_line(self) -> str:
        """The best trial, its result and its values of the hyperparameters searched."""
        return best_line(self.best, self.study.space.varied)

    @property
    def progress_line(self) -> str:
        """Trials, the best result and the time."""
        last = self.best.last if self.best else None
        score = f", best val_accuracy {percent(last.val_accuracy)}" if last else ""
        done = f"{self.done}/{self.study.budget.trials} trials ended"
        return f"{done}, {self.counts}{score}, {self.time}"


def best_line(best: TrialRecord | None, varied: Iterable[str]) -> str:
    """Return the best trial, its result and its values of the hyperparameters searched."""
    if best is None or best.last is None:
        return "no epoch finished yet"
    last, params = best.last, best.params
    values = ", ".join(f"{name} {value_text(params[name], 3)}" for name in varied if name in params)
    return (
        f"best: trial {best.trial_id}, val_accuracy {percent(last.val_accuracy)}, "
        f"val_loss {last.val_loss:.4f} after epoch {last.epoch} ({values})"
    )


def outcome(record: TrialRecord) -> str:
    """Return how a trial ended."""
    last = record.last
    text = STATUS.get(record.status, record.status)
    if last is None:
        return f"{text} before its first epoch ended"
    return (
        f"{text} after {last.epoch} epochs: val_accuracy {percent(last.val_accuracy)}, "
        f"val_loss {last.val_loss:.4f}"
    )
