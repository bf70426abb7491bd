"""How a search stands, in words: for the display of a running one and for whoever watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from handsigns.console.format import percent, value_text
from handsigns.results.trial import Status, TrialRecord

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
    values = ", ".join(f"{name} {value_text(params[name], 3)}" for name in varied if name in params)
    return (
        f"best: trial {best.trial_id}, val_accuracy {percent(last.val_accuracy)}, "
        f"val_loss {last.val_loss:.4f} after epoch {last.epoch} ({values})"
    )


def outcome(record: TrialRecord) -> str:
    """How a trial ended."""
    last = record.last
    text = STATUS.get(record.status, record.status)
    if last is None:
        return f"{text} before its first epoch ended"
    return (
        f"{text} after {last.epoch} epochs: val_accuracy {percent(last.val_accuracy)}, "
        f"val_loss {last.val_loss:.4f}"
    )
