"""The tables of a search, made from its journal: trials, epochs and the leaderboard."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from handsigns.config.study import Objective
from handsigns.config.trial import TrialConfig
from handsigns.files import replacing
from handsigns.search.journal import Journal
from handsigns.search.paths import SearchPaths
from handsigns.search.record import TrialRecord, rank
from handsigns.training.metrics import EpochMetrics

SCORES = ("val_accuracy", "val_loss", "best_val_accuracy", "train_accuracy", "train_loss")
"""Of a trial's last epoch, in the trial table and the leaderboard."""


def trial_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """A row for each trial, in the given order.

    Columns: trial_id, status, `SCORES`, epochs, seconds (in epochs), every hyperparameter, seed,
    started_at, ended_at (UTC, ISO 8601), node, device, threads, error (its last line).
    """
    columns = ["trial_id", "status", *SCORES, "epochs", "seconds", *TrialConfig.model_fields]
    columns += ["seed", "started_at", "ended_at", "node", "device", "threads", "error"]
    return pd.DataFrame([_trial_row(record) for record in records], columns=columns)


def epoch_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """A row for each epoch of each trial: trial_id and the fields of `EpochMetrics`."""
    rows = [
        {"trial_id": record.trial_id, **dataclasses.asdict(metrics)}
        for record in records
        for metrics in record.epochs
    ]
    return pd.DataFrame(rows, columns=["trial_id", *EpochMetrics.__dataclass_fields__])


def leaderboard_table(records: Iterable[TrialRecord], objective: Objective) -> pd.DataFrame:
    """The trials, best first: rank, trial_id, status, scores, epochs, seconds, hyperparameters."""
    table = trial_table(rank(records, objective))
    table.insert(0, "rank", range(1, len(table) + 1))
    last = list(TrialConfig.model_fields)[-1]
    return table.loc[:, :last]


def write_tables(paths: SearchPaths, journal: Journal, objective: Objective) -> None:
    """Write all three as CSV; each replaces its earlier state whole."""
    _write_csv(paths.trials, trial_table(journal.records))
    _write_csv(paths.epochs, epoch_table(journal.records))
    _write_csv(paths.leaderboard, leaderboard_table(journal.records, objective))


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def _trial_row(record: TrialRecord) -> dict[str, Any]:
    last = dataclasses.asdict(record.last) if record.last else {}
    place = dataclasses.asdict(record.placement) if record.placement else {}
    return {
        "trial_id": record.trial_id,
        "status": record.status,
        **{score: last.get(score) for score in SCORES},
        "epochs": len(record.epochs),
        "seconds": round(record.seconds, 3),
        **record.config.model_dump(),
        "seed": record.seed,
        "started_at": _utc(record.started_at),
        "ended_at": _utc(record.ended_at),
        **place,
        "error": record.error.strip().rsplit("\n", 1)[-1],
    }


def _utc(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return pd.Timestamp(seconds, unit="s", tz="UTC").isoformat(timespec="seconds")
