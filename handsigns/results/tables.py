"""Tables of a search, derived from its journal: trials, epochs, decisions and the leaderboard.

Each has one ordered schema of `Column`s, from which rows, CSV, typed data frames and Parquet
(`frames`) are made.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from handsigns.config.hyperparameters import CUSTOM_PREFIX, HYPERPARAMETERS, TrialConfig
from handsigns.config.sections import Objective
from handsigns.console.sanitize import escape_csv_formula
from handsigns.io.atomic import write_text
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Decision, Placement, Status, TrialRecord, rank

T = TypeVar("T")

ColumnType = str | tuple[str, ...] | None
"""Type of a column in data frames: a pandas dtype, the values of a category, or None to infer it
from the values of a custom hyperparameter."""

_UTC_TIME = "datetime64[us, UTC]"
_PANDAS_DTYPES = {bool: "boolean", int: "Int64", float: "float64", str: "string"}


@dataclass(frozen=True)
class Column(Generic[T]):
    """Column of a table.

    Attributes:
        name: name in the header.
        column_type: type of its values.
        values: maps the items of a table to the values, one per row, None if missing.
    """

    name: str
    column_type: ColumnType
    values: Callable[[Sequence[T]], list[Any]]


@dataclass(frozen=True)
class Table(Generic[T]):
    """Columns, and the items from which they take their values."""

    columns: tuple[Column[T], ...]
    items: Sequence[T]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names of the header."""
        return tuple(column.name for column in self.columns)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows, each as values by column name."""
        names = self.names
        return [dict(zip(names, row, strict=True)) for row in self._cells()]

    def csv(self) -> str:
        """Return the table as CSV, in which no text is a formula of a spreadsheet."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(map(_csv_cell, row) for row in self._cells())
        return text.getvalue()

    def _cells(self) -> Iterator[tuple[Any, ...]]:
        return zip(*(column.values(self.items) for column in self.columns), strict=True)


def _column(name: str, column_type: ColumnType, get: Callable[[T], Any] | None = None) -> Column[T]:
    """Return a column of each item's attribute `name`, or of what `get` returns for it."""
    of_item: Callable[[T], Any] = get or attrgetter(name)
    return Column(name, column_type, lambda items: [*map(of_item, items)])


def _csv_cell(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    # Python 3.11 does not quote a carriage return, after which a spreadsheet begins a new row.
    return escape_csv_formula(value.replace("\r", r"\r")) if isinstance(value, str) else value


def _dtype_of(annotation: Any) -> ColumnType:
    return get_args(annotation) if get_origin(annotation) is Literal else _PANDAS_DTYPES[annotation]


def _final_metric(name: str) -> Column[TrialRecord]:
    """Return a column of a metric of each trial's last epoch, None where it was not recorded."""

    def value(record: TrialRecord) -> float | None:
        found = getattr(record.last_epoch, name, None)
        return None if found is None or math.isnan(found) else found

    return _column(name, "float64", value)


def _hyperparameter(name: str) -> Column[TrialRecord]:
    column_type = _dtype_of(TrialConfig.model_fields[name].annotation)
    return _column(name, column_type, attrgetter(f"config.{name}"))


def _custom(name: str) -> Column[TrialRecord]:
    """Return a column of a custom hyperparameter; missing for trials without it."""
    return _column(f"{CUSTOM_PREFIX}{name}", None, lambda record: record.config.custom.get(name))


def _network_value(name: str) -> Callable[[TrialRecord], Any]:
    """Return a function to a `NetworkProfile` field of a trial."""
    return lambda record: getattr(record.network, name, None)


def _time(name: str) -> Column[TrialRecord]:
    return _column(name, _UTC_TIME, lambda record: _iso(getattr(record, name)))


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _placement(name: str, annotation: Any) -> Column[TrialRecord]:
    """Return a column of a `Placement` field of each trial's latest epoch."""
    return _column(
        name, _dtype_of(annotation), lambda record: getattr(record.placement, name, None)
    )


def _epoch_metric(name: str, annotation: Any) -> Column[TrialRecord]:
    """Return a column of a metric of every epoch."""
    get = attrgetter(name)
    return Column(name, _dtype_of(annotation), lambda records: [*map(get, _epochs(records))])


def _epochs(records: Iterable[TrialRecord]) -> Iterator[EpochMetrics]:
    return itertools.chain.from_iterable(record.epochs for record in records)


_RESULT_COLUMNS: tuple[Column[TrialRecord], ...] = (
    _column("trial_id", "string"),
    _column("status", get_args(Status)),
    _final_metric("val_accuracy"),
    _final_metric("val_loss"),
    _final_metric("val_balanced_accuracy"),
    _final_metric("val_macro_f1"),
    _final_metric("best_val_accuracy"),
    _final_metric("train_accuracy"),
    _final_metric("train_loss"),
    _column("epochs", "Int64", lambda record: len(record.epochs)),
    _column("seconds", "float64", lambda record: round(record.seconds, 3)),
    *map(_hyperparameter, HYPERPARAMETERS),
)
_PROVENANCE_COLUMNS: tuple[Column[TrialRecord], ...] = (
    _column("seed", "Int64"),
    _time("started_at"),
    _time("ended_at"),
    _column("retries", "Int64"),
    *(_placement(*field) for field in get_type_hints(Placement).items()),
    _column("error", "string", attrgetter("error_summary")),
)
_RANK_COLUMN: Column[TrialRecord] = Column(
    "rank", "Int64", lambda ranked: [n if r.has_result else None for n, r in enumerate(ranked, 1)]
)
_EPOCH_COLUMNS: tuple[Column[TrialRecord], ...] = (
    Column("trial_id", "string", lambda records: [r.trial_id for r in records for _ in r.epochs]),
    *(_epoch_metric(*field) for field in get_type_hints(EpochMetrics).items()),
)
_DECISION_COLUMNS: tuple[Column[Decision], ...] = (
    _column("trial_id", "string"),
    _column("epoch", "Int64"),
    _column("rung", "float64", attrgetter("verdict.rung")),
    _column("value", "float64", attrgetter("verdict.value")),
    _column("cutoff", "float64", attrgetter("verdict.cutoff")),
    _column("num_compared", "Int64", attrgetter("verdict.num_compared")),
    _column("decision", ("continue", "pause", "stop"), attrgetter("verdict.action")),
)


_NETWORK_COLUMNS: tuple[Column[TrialRecord], ...] = tuple(
    _column(name, column_type, _network_value(name))
    for name, column_type in (
        ("parameters", "Int64"),
        ("model_bytes", "Int64"),
        ("latency_ms", "float64"),
    )
)


def trial_table(records: Sequence[TrialRecord]) -> Table[TrialRecord]:
    """Return the table with a row for each trial, in the given order."""
    columns = (
        *_RESULT_COLUMNS,
        *_PROVENANCE_COLUMNS,
        *_network_columns(records),
        *_custom_columns(records),
    )
    return Table(columns, records)


def leaderboard_table(records: Iterable[TrialRecord], objective: Objective) -> Table[TrialRecord]:
    """Return the table of trials, best first, with results and hyperparameters."""
    ranked = rank(records, objective)
    columns = (
        _RANK_COLUMN,
        *_RESULT_COLUMNS,
        *_network_columns(ranked),
        *_custom_columns(ranked),
    )
    return Table(columns, ranked)


def network_column_names(records: Iterable[TrialRecord]) -> list[str]:
    """Return the columns of size and latency that a table of these trials has."""
    return [column.name for column in _network_columns(list(records))]


def _network_columns(records: Sequence[TrialRecord]) -> list[Column[TrialRecord]]:
    """Return the columns of size and latency that any trial has a value for."""
    return [
        column
        for column in _NETWORK_COLUMNS
        if any(getattr(record.network, column.name, None) is not None for record in records)
    ]


def _custom_columns(records: Sequence[TrialRecord]) -> Iterator[Column[TrialRecord]]:
    """Return a column for each custom hyperparameter of any trial."""
    return map(_custom, sorted({name for record in records for name in record.config.custom}))


def epoch_table(records: Sequence[TrialRecord]) -> Table[TrialRecord]:
    """Return the table with a row for each epoch of each trial."""
    return Table(_EPOCH_COLUMNS, records)


def decision_table(decisions: Sequence[Decision]) -> Table[Decision]:
    """Return the table of the scheduler's decisions, in chronological order."""
    return Table(_DECISION_COLUMNS, decisions)


def write_tables(paths: SearchPaths, journal: Journal, objective: Objective) -> None:
    """Write all four tables as CSV, replacing each file atomically.

    Raises:
        OSError: the disk is full or read-only, or the folder has vanished.
    """
    write_text(paths.trials, trial_table(journal.records).csv())
    write_text(paths.epochs, epoch_table(journal.records).csv())
    write_text(paths.decisions, decision_table(journal.decisions).csv())
    write_text(paths.leaderboard, leaderboard_table(journal.records, objective).csv())
