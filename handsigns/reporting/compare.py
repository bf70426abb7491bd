"""Comparison of several searches: results, cost, search spaces and settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.parameters import Fixed
from handsigns.config.sections import Objective
from handsigns.console.format import (
    MISSING,
    format_duration,
    format_metric,
    format_value,
    interval_cell,
)
from handsigns.console.progress import no_progress
from handsigns.console.sanitize import printable
from handsigns.io.atomic import write_text
from handsigns.reporting.figures.compare import comparison_figures
from handsigns.reporting.page import figures_payload, render
from handsigns.reporting.winner import read_tolerantly
from handsigns.reporting.write import local_timestamp, prepare_folder, write_figures
from handsigns.results.savings import early_stopping_savings
from handsigns.results.statistics import validation_score, within_noise
from handsigns.results.store import StoredSearch
from handsigns.results.test_result import TEST_FILE, TestResult, read_test_result
from handsigns.stats.mcnemar import holm, mcnemar

_ALPHA = 0.05
"""Significance level of McNemar's test."""

TableRow = tuple[str, list[str], bool]
"""Name, one cell per search, and whether the cells differ."""
TestedWinner = tuple[str, TestResult]
"""Name of a search, and the test result of its winner."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of several searches.

    Attributes:
        names: names of the searches.
        verdict: a sentence that names the best search.
        tests: a sentence for each pair of the best tested winner and another.
        warnings: reasons why the searches may not be comparable.
        columns: headings of `summary`.
        summary: a row for each search, with the score of the first search's objective.
        best_configs: best configuration of each search.
        spaces: search space and settings of each search.
    """

    names: list[str]
    verdict: str
    tests: list[str]
    warnings: list[str]
    columns: tuple[str, ...]
    summary: list[list[str]]
    best_configs: list[TableRow]
    spaces: list[TableRow]


def compare(searches: Sequence[StoredSearch]) -> Comparison:
    """Compare searches."""
    objective = searches[0].config.objective
    tested, problems = _read_tests(searches)
    return Comparison(
        names=[search.paths.name for search in searches],
        verdict=_verdict(searches),
        tests=_compare_tests(tested),
        warnings=[*problems, *_warnings(searches)],
        columns=(
            *("search", "best trial", objective.score, "95 % CI", "val_loss", "trials", "epochs"),
            *("saved", "elapsed", "training seconds"),
        ),
        summary=[_summary(search, objective) for search in searches],
        best_configs=_best(searches),
        spaces=_spaces(searches),
    )


def write_comparison(
    comparison: Comparison, searches: Sequence[StoredSearch], folder: Path
) -> Path:
    """Write the page of a comparison and its figures; return the path of the page.

    Raises:
        ResultsError: see `prepare_folder`.
    """
    page = prepare_folder(folder, "comparison of searches")
    figures = comparison_figures(searches)
    write_figures(figures, folder, no_progress)
    text = render(
        "compare.html.j2",
        figures_payload(figures),
        reload_seconds=None,
        generated_at=local_timestamp(),
        figures=figures,
        **vars(comparison),
    )
    write_text(page, text)
    return page


def _summary(search: StoredSearch, objective: Objective) -> list[str]:
    winner = search.best
    best_score = validation_score(search, winner, objective) if winner else None
    records = search.journal.records
    savings = early_stopping_savings(records, search.config.budget.max_epochs)
    return [
        printable(search.paths.name),
        winner.trial_id if winner else MISSING,
        format_metric(objective.score, best_score.score) if best_score else MISSING,
        interval_cell(best_score.interval if best_score else None),
        f"{best_score.loss:.4f}" if best_score else MISSING,
        str(len(records)),
        str(savings.trained_epochs),
        f"{savings.fraction:.0%}",
        format_duration(round(search.journal.elapsed)),
        f"{sum(record.seconds for record in records):.0f}",
    ]


def _verdict(searches: Sequence[StoredSearch]) -> str:
    scored = []
    objective = searches[0].config.objective
    for search in searches:
        winner = search.best
        score = validation_score(search, winner, objective) if winner else None
        # Another objective's score may be unknown.
        if score is not None and not math.isnan(score.score):
            scored.append((score, search.paths.name))
    if not scored:
        return "No search has a result yet"
    if len({search.data.info.fingerprint for search in searches}) > 1:
        return "The searches cannot be ranked: they used different images"
    scored.sort(key=lambda pair: -pair[0].score if objective.is_score else pair[0].loss)
    best, name = scored[0]
    others = [score for score, _ in scored[1:]]
    noise = [score for score in others if within_noise(best, score)]
    text = f"{name} has the best {objective.metric}"
    return f"{text}; the difference in accuracy is within noise" if noise else text


def _read_tests(searches: Sequence[StoredSearch]) -> tuple[list[TestedWinner], list[str]]:
    """Return the tested winners, and messages on damaged test results."""
    tested: list[TestedWinner] = []
    problems: list[str] = []
    for paths in (search.paths for search in searches):
        file = f"{paths.name}/{paths.winner.name}/{TEST_FILE}"
        test = read_tolerantly(file, partial(read_test_result, paths.winner), problems)
        if test is not None:
            tested.append((paths.name, test))
    return tested, [f"{problem}." for problem in problems]


def _compare_tests(tested: Sequence[TestedWinner]) -> list[str]:
    """Compare the winners' tests with the best one's if all were tested on the same images."""
    if len(tested) < 2:
        return []
    if len({(test.fingerprint, test.total) for _, test in tested}) > 1:
        return ["The winners were tested on different images: their tests cannot be compared."]
    tested = sorted(tested, key=lambda pair: -pair[1].correct)
    # The best is known only after the tests: any of the pairs could have been compared.
    pairs = list(itertools.combinations(tested, 2))
    p_values = holm([mcnemar(*_discordant(first, second)) for (_, first), (_, second) in pairs])
    with_best = zip(pairs, p_values[: len(tested) - 1], strict=False)
    return [_mcnemar_sentence(*pair, p, len(pairs)) for pair, p in with_best]


def _discordant(first: TestResult, second: TestResult) -> tuple[int, int]:
    """Return the numbers of images that only the first, and only the second model gets right."""
    missed, missed_by_second = ({m.index for m in test.misclassified} for test in (first, second))
    return len(missed_by_second - missed), len(missed - missed_by_second)


def _mcnemar_sentence(first: TestedWinner, second: TestedWinner, p: float, num_pairs: int) -> str:
    (name, best), (other_name, other) = first, second
    only_best, only_other = _discordant(best, other)
    level = f"{'not ' if p >= _ALPHA else ''}significant at the {_ALPHA:.0%} level"
    corrected = f" after Holm's correction for {num_pairs} pairs" if num_pairs > 1 else ""
    return (
        f"Of {best.total} test images, the winner of {name} classifies {best.correct} correctly, "
        f"that of {other_name} {other.correct}; {only_best} are correct only with the former, "
        f"{only_other} only with the latter. McNemar's exact test: p = {p:.2g}{corrected}, {level}."
    )


def _warnings(searches: Sequence[StoredSearch]) -> list[str]:
    messages = []
    if len({search.data.info.fingerprint for search in searches}) > 1:
        messages.append("The searches used different images: their scores cannot be compared.")
    if len({search.config.objective.metric for search in searches}) > 1:
        messages.append("They optimised different metrics; the figures show the first search's.")
    if len({search.config.budget.max_epochs for search in searches}) > 1:
        messages.append(
            "Their max_epochs differ: an epoch is a different fraction of a full trial."
        )
    machines = {
        str(session.environment.get("processor"))
        for search in searches
        for session in search.journal.sessions
    }
    if len(machines) > 1:
        messages.append("They ran on different machines: compare trials and epochs, not times.")
    return messages


def _best(searches: Sequence[StoredSearch]) -> list[TableRow]:
    winners = [search.best for search in searches]
    configs = [winner.config.hyperparameters() if winner else {} for winner in winners]
    rows = []
    for name in dict.fromkeys(name for config in configs for name in config):
        cells = [_format_value(config.get(name)) for config in configs]
        rows.append((name, cells, len(set(cells)) > 1))
    # Differences first: the rest is context.
    return sorted(rows, key=lambda row: not row[2])


def _spaces(searches: Sequence[StoredSearch]) -> list[TableRow]:
    names = dict.fromkeys(name for search in searches for name in search.config.space)
    rows = []
    for name in names:
        cells = [_parameter(search, name) for search in searches]
        rows.append((name, cells, len(set(cells)) > 1))
    for label, getter in _SETTINGS.items():
        cells = [_format_value(getter(search)) for search in searches]
        rows.append((label, cells, len(set(cells)) > 1))
    return rows


_SETTINGS: dict[str, Any] = {
    "searcher": lambda search: search.config.searcher.name,
    "scheduler": lambda search: search.config.scheduler.name,
    "grace period": lambda search: search.config.scheduler.grace_period,
    "reduction factor": lambda search: search.config.scheduler.reduction_factor,
    "trials": lambda search: search.config.budget.trials,
    "max epochs": lambda search: search.config.budget.max_epochs,
    "objective": lambda search: search.config.objective.metric,
    "seed": lambda search: search.config.seed,
    "data": lambda search: search.data.info.fingerprint[:12],
}


def _parameter(search: StoredSearch, name: str) -> str:
    if name not in search.config.space:
        defaults = TrialConfig().hyperparameters()
        return f"{_format_value(defaults[name])} (default)" if name in defaults else MISSING
    parameter = search.config.space[name]
    if isinstance(parameter, Fixed):
        return f"{_format_value(parameter.value)} (fixed)"
    fields = parameter.model_dump(by_alias=True, exclude_defaults=True)
    kind = fields.pop("type", "")
    inside = ", ".join(f"{key} {_format_value(value)}" for key, value in fields.items())
    return f"{kind}: {inside}"


def _format_value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_format_value, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} is {_format_value(entry)}" for key, entry in value.items())
    return MISSING if value is None else format_value(value)
