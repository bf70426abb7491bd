"""The tables of a search, made from its journal: trials, epochs and the leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.config.hyperparameters import HYPERPARAMETERS, OWN, Scalar
from handsigns.config.search import Objective
from handsigns.console.sanitize import no_formula
from handsigns.io.atomic import write_text
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Decision, Placement, TrialRecord, rank

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("val_accuracy", "val_loss", "best_val_accuracy", "train_accuracy", "train_loss")
"""Of a trial's last epoch, in the trial table and the leaderboard."""


_TRIAL_COLUMNS = (
    *("trial_id", "status", *SCORES, "epochs", "seconds", *HYPERPARAMETERS),
    *("seed", "started_at", "ended_at", "retries", "node", "device", "threads", "error"),
)
_PLACE = tuple(Placement.__dataclass_fields__)
_DECISION_COLUMNS = ("trial_id", "epoch", "rung", "value", "cutoff", "earlier", "decision")
LEADERBOARD_COLUMNS = ("rank", *_TRIAL_COLUMNS[: _TRIAL_COLUMNS.index("seed")])
"""Those of the user's own hyperparameters follow, as `leaderboard_rows` has them."""


def trial_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """A row for each trial, in the given order.

    Columns: trial_id, status, `SCORES`, epochs, seconds (in epochs), every hyperparameter, seed,
    started_at, ended_at (UTC, ISO 8601), retries (how often its process died), node, device,
    threads, error (its last line); then the user's own hyperparameters.
    """
    rows = [_trial_row(record) for record in records]
    return _table(rows, (*_TRIAL_COLUMNS, *_own_columns(rows)))


def epoch_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """A row for each epoch of each trial: trial_id and the fields of `EpochMetrics`."""
    rows = [
        {"trial_id": record.trial_id, **vars(metrics)}
        for record in records
        for metrics in record.epochs
    ]
    return _table(rows, ("trial_id", *EpochMetrics.__dataclass_fields__))


def leaderboard_table(records: Iterable[TrialRecord], objective: Objective) -> pd.DataFrame:
    """The trials, best first: rank, trial_id, status, scores, epochs, seconds, hyperparameters."""
    rows = leaderboard_rows(records, objective)
    return _table(rows, leaderboard_columns(rows))


def leaderboard_columns(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """The columns of `leaderboard_rows`."""
    return tuple(rows[0]) if rows else LEADERBOARD_COLUMNS


def leaderboard_rows(records: Iterable[TrialRecord], objective: Objective) -> list[dict[str, Any]]:
    """The rows of the leaderboard without pandas, which takes seconds to load.

    A score that a trial does not have is None.
    """
    rows = [_trial_row(record) for record in rank(records, objective)]
    columns = (*LEADERBOARD_COLUMNS, *_own_columns(rows))
    return [
        {name: row.get(name) for name in columns}
        for row in ({"rank": number, **row} for number, row in enumerate(rows, 1))
    ]


def _own_columns(rows: list[dict[str, Any]]) -> list[str]:
    """Of the user's own hyperparameters; a trial to which one does not apply has None there."""
    return sorted({name for row in rows for name in row if name.startswith(OWN)})


def decision_table(decisions: Iterable[Decision]) -> pd.DataFrame:
    """A row for each decision of the scheduler, in the order they were made.

    Columns: trial_id, epoch, rung (the epoch where it stands), value (the trial's, of the
    objective), cutoff (the worst that goes on; empty for the first), earlier (trials that had
    reached the rung before), decision (stop or go on).
    """
    rows = [
        {
            **{"trial_id": decision.trial_id, "epoch": decision.epoch},
            **vars(decision.verdict),
            "decision": "stop" if decision.verdict.stop else "go on",
        }
        for decision in decisions
    ]
    return _table(rows, _DECISION_COLUMNS)


def write_tables(paths: SearchPaths, journal: Journal, objective: Objective) -> None:
    """Write all four as CSV; each replaces its earlier state whole.

    Raises:
        OSError: the disk is full or read-only, or the folder is gone.
    """
    _write_csv(paths.trials, trial_table(journal.records))
    _write_csv(paths.epochs, epoch_table(journal.records))
    _write_csv(paths.decisions, decision_table(journal.decisions))
    _write_csv(paths.leaderboard, leaderboard_table(journal.records, objective))


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(columns))
    for name in columns:
        if name.startswith(OWN):  # where one trial has none, 3 must not become 3.0
            table[name] = pd.Series([row.get(name) for row in rows], dtype=object)
    return table


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False))


def _trial_row(record: TrialRecord) -> dict[str, Any]:
    last = vars(record.last) if record.last else {}
    place = vars(record.placement) if record.placement else dict.fromkeys(_PLACE)
    return {
        "trial_id": record.trial_id,
        "status": record.status,
        **{score: last.get(score) for score in SCORES},
        "epochs": len(record.epochs),
        "seconds": round(record.seconds, 3),
        **{name: _cell(value) for name, value in record.config.hyperparameters().items()},
        "seed": record.seed,
        "started_at": _utc(record.started_at),
        "ended_at": _utc(record.ended_at),
        "retries": record.retries,
        **place,
        "node": no_formula(record.placement.node) if record.placement else None,
        "error": no_formula(record.error.strip().rsplit("\n", 1)[-1]),
    }


def _cell(value: Scalar) -> Scalar:
    return no_formula(value) if isinstance(value, str) else value


def _utc(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
