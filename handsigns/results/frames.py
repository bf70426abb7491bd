"""Tables of a search as typed pandas data frames, and as Parquet.

Missing values are `NaN` in columns of float64, and `pd.NA`, `NaT` or an empty category elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.config.sections import Objective
from handsigns.io.atomic import atomic_write
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.tables import (
    ColumnType,
    Table,
    decision_table,
    epoch_table,
    leaderboard_table,
    trial_table,
)

if TYPE_CHECKING:
    import pandas as pd


def trial_frame(journal: Journal) -> pd.DataFrame:
    """Return `tables.trial_table` as a typed data frame."""
    return _to_frame(trial_table(journal.records))


def epoch_frame(journal: Journal) -> pd.DataFrame:
    """Return `tables.epoch_table` as a typed data frame."""
    return _to_frame(epoch_table(journal.records))


def decision_frame(journal: Journal) -> pd.DataFrame:
    """Return `tables.decision_table` as a typed data frame."""
    return _to_frame(decision_table(journal.decisions))


def leaderboard_frame(journal: Journal, objective: Objective) -> pd.DataFrame:
    """Return `tables.leaderboard_table` as a typed data frame."""
    return _to_frame(leaderboard_table(journal.records, objective))


def write_parquet(paths: SearchPaths, journal: Journal) -> None:
    """Write trials and epochs as Parquet, replacing each file atomically.

    Raises:
        OSError: the disk is full or read-only, or the folder has vanished.
    """
    _write(paths.trials_parquet, trial_frame(journal))
    _write(paths.epochs_parquet, epoch_frame(journal))


def _write(path: Path, frame: pd.DataFrame) -> None:
    # Arrow's own file writing raises an OSError without errno when the disk is full.
    content = frame.to_parquet(index=False)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def _to_frame(table: Table[Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {c.name: _to_series(c.values(table.items), c.column_type) for c in table.columns}
    )


def _to_series(values: list[Any], column_type: ColumnType) -> pd.Series[Any]:
    import pandas as pd

    if column_type is None:
        inferred = pd.Series(values, dtype=object).convert_dtypes()
        # Such as the values none and 0.5 of a custom hyperparameter, which Parquet cannot mix.
        return inferred.astype("string") if inferred.dtype == object else inferred
    dtype: Any = (
        column_type if isinstance(column_type, str) else pd.CategoricalDtype(list(column_type))
    )
    typed: pd.Series[Any] = pd.Series(values, dtype=dtype)
    return typed
