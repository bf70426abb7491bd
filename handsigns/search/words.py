"""How a search stands, in words: for the display of a running one and for whoever watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from handsigns.config.study import Objective
from handsigns.search.record import Status, TrialRecord
from handsigns.text import printable

STATUS: dict[Status, str] = {
    "completed": "completed",
    "stopped": "stopped early",
    "diverged": "diverged",
    "failed": "failed",
}
"""Of trials that ended."""


def counts_line(running: int, ended: Mapping[Status, int], going: str = "running") -> str:
    """How many trials are `going`, and how the others ended."""
    parts = [f"{ended[status]} {name}" for status, name in STATUS.items() if ended.get(status)]
    return ", ".join([f"{running} {going}", *parts])


def best_line(best: TrialRecord | None, varied: Iterable[str]) -> str:
    """The best trial, its result and its values of the hyperparameters searched."""
    if best is None or best.last is None:
        return "no epoch finished yet"
    last, params = best.last, best.params
    values = ", ".join(f"{name} {short(params[name])}" for name in varied if name in params)
    return (
        f"best: trial {best.trial_id}, val_accuracy {last.val_accuracy:.2%}, "
        f"val_loss {last.val_loss:.4f} after epoch {last.epoch} ({values})"
    )


def outcome(record: TrialRecord) -> str:
    """How a trial ended."""
    last = record.last
    text = STATUS.get(record.status, record.status)
    if last is None:
        return f"{text} before its first epoch ended"
    return (
        f"{text} after {last.epoch} epochs: val_accuracy {last.val_accuracy:.2%}, "
        f"val_loss {last.val_loss:.4f}"
    )


def figure(value: float, objective: Objective) -> str:
    """A value of the objective."""
    return f"{value:.4f}" if objective.metric == "val_loss" else f"{value:.2%}"


def short(value: object) -> str:
    """A hyperparameter's value."""
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value))
