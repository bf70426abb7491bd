"""The tables of a search as pandas frames whose columns have their types, and as Parquet.

Missing values are `NaN` in columns of float64, and `pd.NA`, `NaT` or an empty category elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from handsigns.config.hyperparameters import HYPERPARAMETERS, OWN, TrialConfig
from handsigns.config.search import Objective
from handsigns.io.atomic import replacing
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.tables import (
    SCORES,
    decision_table,
    epoch_table,
    leaderboard_table,
    trial_table,
)
from handsigns.results.trial import Status

if TYPE_CHECKING:
    import pandas as pd

Kind = str | tuple[str, ...]
"""A column's type: a name that pandas knows, or the values of a category."""

UTC_TIME = "datetime64[us, UTC]"
_PLAIN = {bool: "boolean", int: "Int64", float: "float64", str: "string"}

_TRIAL_KINDS: dict[str, Kind] = {
    "rank": "Int64",
    "trial_id": "string",
    "status": get_args(Status),
    **dict.fromkeys(SCORES, "float64"),
    "epochs": "Int64",
    "seconds": "float64",
    "seed": "Int64",
    "started_at": UTC_TIME,
    "ended_at": UTC_TIME,
    "retries": "Int64",
    "node": "string",
    "device": "string",
    "threads": "Int64",
    "error": "string",
}
_EPOCH_KINDS: dict[str, Kind] = {
    "trial_id": "string",
    **{name: "Int64" if name == "epoch" else "float64" for name in EpochMetrics.__annotations__},
}
_DECISION_KINDS: dict[str, Kind] = {
    "trial_id": "string",
    "epoch": "Int64",
    "rung": "float64",
    "value": "float64",
    "cutoff": "float64",
    "earlier": "Int64",
    "decision": ("go on", "stop"),
}


def trial_frame(journal: Journal) -> pd.DataFrame:
    """`tables.trial_table`, typed."""
    return _typed(trial_table(journal.records), _trial_kinds())


def epoch_frame(journal: Journal) -> pd.DataFrame:
    """`tables.epoch_table`, typed."""
    return _typed(epoch_table(journal.records), _EPOCH_KINDS)


def decision_frame(journal: Journal) -> pd.DataFrame:
    """`tables.decision_table`, typed."""
    return _typed(decision_table(journal.decisions), _DECISION_KINDS)


def leaderboard_frame(journal: Journal, objective: Objective) -> pd.DataFrame:
    """`tables.leaderboard_table`, typed."""
    return _typed(leaderboard_table(journal.records, objective), _trial_kinds())


def write_parquet(paths: SearchPaths, journal: Journal) -> None:
    """Write trials and epochs as Parquet; each replaces its earlier state whole.

    Raises:
        OSError: the disk is full or read-only, or the folder is gone.
    """
    _write(paths.typed_trials, trial_frame(journal))
    _write(paths.typed_epochs, epoch_frame(journal))


def _write(path: Path, frame: pd.DataFrame) -> None:
    # Not Arrow's own file writing: what it says of a full disk has no number.
    content = frame.to_parquet(index=False)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _trial_kinds() -> dict[str, Kind]:
    fields = TrialConfig.model_fields
    config = {name: _kind(fields[name].annotation) for name in HYPERPARAMETERS}
    return _TRIAL_KINDS | config


def _kind(annotation: Any) -> Kind:
    """Of a hyperparameter."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return _PLAIN[annotation]


def _typed(table: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    import pandas as pd

    columns = {}
    for name, column in table.items():
        if str(name).startswith(OWN):
            columns[name] = column.convert_dtypes()  # of the user's own, whatever it holds
            continue
        kind = kinds[str(name)]
        if kind == UTC_TIME:
            columns[name] = pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]")
        else:
            dtype: Any = kind if isinstance(kind, str) else pd.CategoricalDtype(list(kind))
            columns[name] = column.astype(dtype)
    return pd.DataFrame(columns)
