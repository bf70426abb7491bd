"""Several searches side by side: how fast they found what, for how much, in which spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.space import Fixed
from handsigns.console.format import format_duration, percent
from handsigns.console.sanitize import printable
from handsigns.io.atomic import write_text
from handsigns.reporting.figures.compare import comparison_figures
from handsigns.reporting.page import figures_payload, render
from handsigns.reporting.winner import read_winner
from handsigns.reporting.write import now_in_words, prepare_folder, silent, write_figures
from handsigns.results.statistics import savings, score
from handsigns.results.store import StoredSearch
from handsigns.results.winner import TestResult
from handsigns.stats.mcnemar import mcnemar

SUMMARY_COLUMNS = (
    *("search", "best trial", "val_accuracy", "95 %", "val_loss", "trials", "epochs", "saved"),
    *("time", "seconds in epochs"),
)
_SIGNIFICANT = 0.05

TableRow = tuple[str, list[str], bool]
"""A name, a cell for each search, and whether these differ."""


@dataclass(frozen=True)
class Comparison:
    """Several searches side by side.

    Attributes:
        names: of the searches.
        verdict: which was best, in a sentence.
        tests: how the winners' tests compare, a sentence for each pair with the best.
        warnings: why they may not be comparable.
        summary: a row of `SUMMARY_COLUMNS` for each search.
        best: the best configuration of each.
        spaces: what each searched, and how.
    """

    names: list[str]
    verdict: str
    tests: list[str]
    warnings: list[str]
    summary: list[list[str]]
    best: list[TableRow]
    spaces: list[TableRow]

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings of `summary`."""
        return SUMMARY_COLUMNS


def compare(searches: Sequence[StoredSearch]) -> Comparison:
    """What there is to say of them."""
    return Comparison(
        names=[search.paths.name for search in searches],
        verdict=_verdict(searches),
        tests=_tests(searches),
        warnings=_warnings(searches),
        summary=[_summary(search) for search in searches],
        best=_best(searches),
        spaces=_spaces(searches),
    )


def write_comparison(searches: Sequence[StoredSearch], folder: Path) -> Path:
    """Write the page and its figures; returns the page.

    Raises:
        ResultsError: the folder holds a page that is none of ours.
    """
    page = prepare_folder(folder)
    found = compare(searches)
    drawn = comparison_figures(searches)
    write_figures(drawn, folder, silent)
    text = render(
        "compare.html.j2",
        figures_payload(drawn),
        reload_seconds=None,
        made=now_in_words(),
        summary_columns=SUMMARY_COLUMNS,
        figures=drawn,
        **vars(found),
    )
    write_text(page, text)
    return page


def _summary(search: StoredSearch) -> list[str]:
    winner = search.best
    won = score(search, winner) if winner else None
    records = search.journal.records
    spent = savings(records, search.study.budget.max_epochs)
    low, high = won.interval if won and won.interval else (None, None)
    return [
        printable(search.paths.name),
        winner.trial_id if winner else "–",
        percent(won.accuracy) if won else "–",
        f"{low:.1%}–{high:.1%}" if low is not None and high is not None else "–",
        f"{won.loss:.4f}" if won else "–",
        str(len(records)),
        str(spent.trained),
        f"{spent.share:.0%}",
        format_duration(round(search.journal.elapsed)),
        f"{sum(record.seconds for record in records):.0f}",
    ]


def _verdict(searches: Sequence[StoredSearch]) -> str:
    found = []
    for search in searches:
        winner = search.best
        won = score(search, winner) if winner else None
        if won is not None:
            found.append((won, search.paths.name))
    if not found:
        return "None of them has a result yet"
    if len({search.data.info.fingerprint for search in searches}) > 1:
        return "No best search can be named: they used different images"
    objective = searches[0].study.objective
    found.sort(key=lambda pair: -pair[0].accuracy if objective.is_share else pair[0].loss)
    best, name = found[0]
    others = [other for other, _ in found[1:]]
    noise = [o for o in others if best.interval and best.interval[0] <= o.accuracy]
    text = f"{name} found the best by {objective.metric}"
    return f"{text}; in accuracy that is within noise" if noise else text


def _tests(searches: Sequence[StoredSearch]) -> list[str]:
    """The winners' tests against the best one's, where they were tested on the same pictures."""
    found = [(search.paths.name, read_winner(search.paths).test) for search in searches]
    tested = [(name, test) for name, test in found if test is not None]
    if len(tested) < 2:
        return []
    if len({(test.fingerprint, test.total) for _, test in tested}) > 1:
        return ["The winners were tested on different pictures: their tests cannot be compared."]
    tested.sort(key=lambda pair: -pair[1].correct)
    (name, best), *others = tested
    return [_against(name, best, other, test) for other, test in others]


def _against(name: str, best: TestResult, other_name: str, other: TestResult) -> str:
    missed, missed_by_other = ({w.index for w in test.wrong} for test in (best, other))
    only_best, only_other = len(missed_by_other - missed), len(missed - missed_by_other)
    p = mcnemar(only_best, only_other)
    chance = "which may well be chance" if p >= _SIGNIFICANT else "which is unlikely to be chance"
    return (
        f"Tested on {best.total} pictures, the winner of {name} has {best.correct} right, that of "
        f"{other_name} {other.correct}. {only_best} pictures only the first has right, "
        f"{only_other} only the second: McNemar's exact test gives p = {p:.2g}, {chance}."
    )


def _warnings(searches: Sequence[StoredSearch]) -> list[str]:
    told = []
    if len({search.data.info.fingerprint for search in searches}) > 1:
        told.append("The searches used different images: their scores cannot be compared.")
    if len({search.study.objective.metric for search in searches}) > 1:
        told.append("They optimised different metrics; the figures show that of the first.")
    if len({search.study.budget.max_epochs for search in searches}) > 1:
        told.append("Their trials' full lengths differ, so an epoch is another part of a whole.")
    machines = {
        str(session.environment.get("processor"))
        for search in searches
        for session in search.journal.sessions
    }
    if len(machines) > 1:
        told.append("They ran on different machines: compare trials and epochs, not times.")
    return told


def _best(searches: Sequence[StoredSearch]) -> list[TableRow]:
    winners = [search.best for search in searches]
    configs = [winner.config.hyperparameters() if winner else {} for winner in winners]
    rows = []
    for name in dict.fromkeys(name for config in configs for name in config):
        cells = [_shown(config.get(name)) for config in configs]
        rows.append((name, cells, len(set(cells)) > 1))
    # What differs first: the rest is context.
    return sorted(rows, key=lambda row: not row[2])


def _spaces(searches: Sequence[StoredSearch]) -> list[TableRow]:
    names = dict.fromkeys(name for search in searches for name in search.study.space)
    rows = []
    for name in names:
        cells = [_parameter(search, name) for search in searches]
        rows.append((name, cells, len(set(cells)) > 1))
    for label, of in _SETTINGS.items():
        cells = [_shown(of(search)) for search in searches]
        rows.append((label, cells, len(set(cells)) > 1))
    return rows


_SETTINGS: dict[str, Any] = {
    "searcher": lambda search: search.study.searcher.name,
    "scheduler": lambda search: search.study.scheduler.name,
    "grace period": lambda search: search.study.scheduler.grace_period,
    "reduction factor": lambda search: search.study.scheduler.reduction_factor,
    "trials": lambda search: search.study.budget.trials,
    "max epochs": lambda search: search.study.budget.max_epochs,
    "objective": lambda search: search.study.objective.metric,
    "seed": lambda search: search.study.seed,
    "data": lambda search: search.data.info.fingerprint[:12],
}


def _parameter(search: StoredSearch, name: str) -> str:
    if name not in search.study.space:
        defaults = TrialConfig().hyperparameters()
        return f"{_shown(defaults[name])} (default)" if name in defaults else "–"
    parameter = search.study.space[name]
    if isinstance(parameter, Fixed):
        return f"{_shown(parameter.value)} (fixed)"
    fields = parameter.model_dump(by_alias=True, exclude_defaults=True)
    kind = fields.pop("type", "")
    inside = ", ".join(f"{key} {_shown(value)}" for key, value in fields.items())
    return f"{kind}: {inside}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(_shown, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} is {_shown(entry)}" for key, entry in value.items())
    return "–" if value is None else str(value)
