"""The tables of a search, made from its journal: trials, epochs, decisions and the leaderboard.

Each is one ordered schema, `Column` by `Column`; rows, CSV, typed frames and Parquet (`frames`)
all come from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from handsigns.config.hyperparameters import HYPERPARAMETERS, OWN, TrialConfig
from handsigns.config.search import Objective
from handsigns.console.sanitize import no_formula
from handsigns.io.atomic import write_text
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Decision, Placement, Status, TrialRecord, rank

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

Kind = str | tuple[str, ...] | None
"""A column's type in frames: a dtype of pandas, the values of a category, or None for whatever type
the values of a custom hyperparameter have."""

_UTC_TIME = "datetime64[us, UTC]"
_KINDS = {bool: "boolean", int: "Int64", float: "float64", str: "string"}


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table.

    Attributes:
        name: in the header.
        kind: type of its values.
        values: makes them, one a row in order, None where one is missing.
    """

    name: str
    kind: Kind
    values: Callable[[Sequence[T]], list[Any]]


@dataclass(frozen=True)
class Table(Generic[T]):
    """Columns, and the items that they show."""

    columns: tuple[Column[T], ...]
    items: Sequence[T]

    @property
    def names(self) -> tuple[str, ...]:
        """The header."""
        return tuple(column.name for column in self.columns)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows, without pandas, which takes seconds to load."""
        cells = zip(*(column.values(self.items) for column in self.columns), strict=True)
        names = self.names
        return [dict(zip(names, row, strict=True)) for row in cells]

    def csv(self) -> str:
        """Return the table as CSV."""
        import pandas as pd

        series: dict[str, pd.Series[Any] | list[Any]] = {}
        for column in self.columns:
            values = column.values(self.items)
            # Where one trial has no value, 3 must not become 3.0.
            whole = column.kind in (None, "Int64")
            series[column.name] = pd.Series(values, dtype=object) if whole else values
        return pd.DataFrame(series, columns=list(self.names)).to_csv(index=False)


def _each(name: str, kind: Kind, get: Callable[[T], Any] | None = None) -> Column[T]:
    """A column with a value for each item: its attribute of that name, or what `get` returns."""
    of_item: Callable[[T], Any] = get or attrgetter(name)
    if kind in ("string", None):  # may be text from outside
        return Column(name, kind, lambda items: [*map(_no_formula, map(of_item, items))])
    return Column(name, kind, lambda items: [*map(of_item, items)])


def _no_formula(value: Any) -> Any:
    return no_formula(value) if isinstance(value, str) else value


def _kind(annotation: Any) -> Kind:
    return get_args(annotation) if get_origin(annotation) is Literal else _KINDS[annotation]


def _score(name: str) -> Column[TrialRecord]:
    """A metric of a trial's last epoch."""
    return _each(name, "float64", lambda record: getattr(record.last, name, None))


def _hyperparameter(name: str) -> Column[TrialRecord]:
    kind = _kind(TrialConfig.model_fields[name].annotation)
    return _each(name, kind, attrgetter(f"config.{name}"))


def _custom(name: str) -> Column[TrialRecord]:
    """A custom hyperparameter; trials to which it does not apply have none."""
    return _each(f"{OWN}{name}", None, lambda record: record.config.own.get(name))


def _time(name: str) -> Column[TrialRecord]:
    return _each(name, _UTC_TIME, lambda record: _iso(getattr(record, name)))


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _placement(name: str, annotation: Any) -> Column[TrialRecord]:
    """Where a trial's latest epoch was trained."""
    return _each(name, _kind(annotation), lambda record: getattr(record.placement, name, None))


def _metric(name: str, annotation: Any) -> Column[TrialRecord]:
    """A metric of every epoch."""
    get = attrgetter(name)
    return Column(name, _kind(annotation), lambda records: [*map(get, _epochs(records))])


def _epochs(records: Iterable[TrialRecord]) -> Iterator[EpochMetrics]:
    return itertools.chain.from_iterable(record.epochs for record in records)


_OUTCOME: tuple[Column[TrialRecord], ...] = (
    _each("trial_id", "string"),
    _each("status", get_args(Status)),
    _score("val_accuracy"),
    _score("val_loss"),
    _score("best_val_accuracy"),
    _score("train_accuracy"),
    _score("train_loss"),
    _each("epochs", "Int64", lambda record: len(record.epochs)),
    _each("seconds", "float64", lambda record: round(record.seconds, 3)),
    *map(_hyperparameter, HYPERPARAMETERS),
)
_PROVENANCE: tuple[Column[TrialRecord], ...] = (
    _each("seed", "Int64"),
    _time("started_at"),
    _time("ended_at"),
    _each("retries", "Int64"),
    *(_placement(*field) for field in get_type_hints(Placement).items()),
    _each("error", "string", lambda record: record.error.strip().rsplit("\n", 1)[-1]),
)
_RANK: Column[TrialRecord] = Column(
    "rank", "Int64", lambda ranked: [n if r.has_result else None for n, r in enumerate(ranked, 1)]
)
_EPOCHS: tuple[Column[TrialRecord], ...] = (
    Column("trial_id", "string", lambda records: [r.trial_id for r in records for _ in r.epochs]),
    *(_metric(*field) for field in get_type_hints(EpochMetrics).items()),
)
_DECISIONS: tuple[Column[Decision], ...] = (
    _each("trial_id", "string"),
    _each("epoch", "Int64"),
    _each("rung", "float64", attrgetter("verdict.rung")),
    _each("value", "float64", attrgetter("verdict.value")),
    _each("cutoff", "float64", attrgetter("verdict.cutoff")),
    _each("earlier", "Int64", attrgetter("verdict.earlier")),
    _each("decision", ("go on", "stop"), lambda d: "stop" if d.verdict.stop else "go on"),
)


def trial_table(records: Sequence[TrialRecord]) -> Table[TrialRecord]:
    """Return a row for each trial, in the given order."""
    return Table((*_OUTCOME, *_PROVENANCE, *_custom_columns(records)), records)


def leaderboard_table(records: Iterable[TrialRecord], objective: Objective) -> Table[TrialRecord]:
    """Return the trials, best first, with the outcome and the hyperparameters of each."""
    ranked = rank(records, objective)
    return Table((_RANK, *_OUTCOME, *_custom_columns(ranked)), ranked)


def _custom_columns(records: Sequence[TrialRecord]) -> Iterator[Column[TrialRecord]]:
    """A column for each custom hyperparameter that any trial has."""
    return map(_custom, sorted({name for record in records for name in record.config.own}))


def epoch_table(records: Sequence[TrialRecord]) -> Table[TrialRecord]:
    """Return a row for each epoch of each trial."""
    return Table(_EPOCHS, records)


def decision_table(decisions: Sequence[Decision]) -> Table[Decision]:
    """Return a row for each decision of the scheduler, in the order they were made."""
    return Table(_DECISIONS, decisions)


def write_tables(paths: SearchPaths, journal: Journal, objective: Objective) -> None:
    """Write all four as CSV; each replaces its earlier state whole.

    Raises:
        OSError: the disk is full or read-only, or the folder is gone.
    """
    write_text(paths.trials, trial_table(journal.records).csv())
    write_text(paths.epochs, epoch_table(journal.records).csv())
    write_text(paths.decisions, decision_table(journal.decisions).csv())
    write_text(paths.leaderboard, leaderboard_table(journal.records, objective).csv())
