"""How a search stands, in words: for the display of a running one and for whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from handsigns.config.search import StudyConfig
from handsigns.console.format import counted, format_duration, percent, value_text
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
        elapsed: seconds of the latest session.
        remaining: seconds of the time budget that remain; None where there is none.
        best_ended: the best of the trials that ended, whose result does not change; None before
            the first with a result.
        before: seconds of earlier sessions.
        ended_before: how many trials ended in earlier sessions.
        running: whether trials are trained at the moment.
    """

    study: StudyConfig
    trials: int
    ended: Mapping[Status, int]
    epochs: int
    ended_epochs: int
    best: TrialRecord | None
    elapsed: float
    remaining: float | None
    running: bool = True
    best_ended: TrialRecord | None = None
    before: float = 0.0
    ended_before: int = 0

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
        return f"{counted(self.epochs, 'epoch')} trained, {saved} saved by early stopping"

    @property
    def time(self) -> str:
        """How long it has been running, and about how long it will.

        The estimate counts what this session does alone: its seconds and the trials that ended in
        it. Nothing is estimated before the first of these.
        """
        text = f"{format_duration(round(self.elapsed))} elapsed"
        if self.before:
            total = format_duration(round(self.before + self.elapsed))
            text = f"{text} in this session, {total} in all"
        ends = [] if self.remaining is None else [self.remaining]
        ended = self.done - self.ended_before
        if ended > 0:
            ends.append(self.elapsed / ended * max(0, self.study.budget.trials - self.done))
        estimate = round(min(ends, default=0.0))
        if not self.running or not estimate:
            return text
        return f"{text}, about {format_duration(estimate)} remaining"

    @property
    def best_line(self) -> str:
        """The best trial, its result and its values of the hyperparameters searched."""
        return best_line(self.best, self.study)

    @property
    def progress_line(self) -> str:
        """Trials, the best result and the time."""
        objective = self.study.objective
        last = self.best_ended.last if self.best_ended else None
        score = f", best {objective.metric} {objective.format(objective.of(last))}" if last else ""
        done = f"{self.done}/{counted(self.study.budget.trials, 'trial')} ended"
        return f"{done}, {self.counts}{score}, {self.time}"


def best_line(best: TrialRecord | None, study: StudyConfig) -> str:
    """Return the best trial, its result and its values of the hyperparameters searched."""
    if best is None or best.last is None:
        return "no epoch finished yet"
    last, params = best.last, best.params
    varied = [name for name in study.space.varied if name in params]
    values = ", ".join(f"{name} {value_text(params[name], 3)}" for name in varied)
    scores = [f"val_loss {last.val_loss:.4f}", f"val_accuracy {percent(last.val_accuracy)}"]
    if study.objective.is_share:
        scores.reverse()
    return f"best: trial {best.trial_id}, {', '.join(scores)} after epoch {last.epoch} ({values})"


def outcome(record: TrialRecord) -> str:
    """Return how a trial ended."""
    last = record.last
    text = STATUS.get(record.status, record.status)
    if last is None:
        return f"{text} before its first epoch ended"
    return (
        f"{text} after {counted(last.epoch, 'epoch')}: val_accuracy {percent(last.val_accuracy)}, "
        f"val_loss {last.val_loss:.4f}"
    )
