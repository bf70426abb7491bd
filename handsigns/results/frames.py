"""The tables of a search as pandas frames whose columns have their types, and as Parquet.

Missing values are `NaN` in columns of float64, and `pd.NA`, `NaT` or an empty category elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.config.search import Objective
from handsigns.io.atomic import replacing
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.tables import (
    Kind,
    Table,
    decision_table,
    epoch_table,
    leaderboard_table,
    trial_table,
)

if TYPE_CHECKING:
    import pandas as pd


def trial_frame(journal: Journal) -> pd.DataFrame:
    """Return `tables.trial_table`, typed."""
    return _frame(trial_table(journal.records))


def epoch_frame(journal: Journal) -> pd.DataFrame:
    """Return `tables.epoch_table`, typed."""
    return _frame(epoch_table(journal.records))


def decision_frame(journal: Journal) -> pd.DataFrame:
    """Return `tables.decision_table`, typed."""
    return _frame(decision_table(journal.decisions))


def leaderboard_frame(journal: Journal, objective: Objective) -> pd.DataFrame:
    """Return `tables.leaderboard_table`, typed."""
    return _frame(leaderboard_table(journal.records, objective))


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


def _frame(table: Table[Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({c.name: _typed(c.values(table.items), c.kind) for c in table.columns})


def _typed(values: list[Any], kind: Kind) -> pd.Series[Any]:
    import pandas as pd

    if kind is None:
        return pd.Series(values, dtype=object).convert_dtypes()
    dtype: Any = kind if isinstance(kind, str) else pd.CategoricalDtype(list(kind))
    typed: pd.Series[Any] = pd.Series(values, dtype=dtype)
    return typed
