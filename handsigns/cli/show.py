"""Terminal output shared by several commands."""

from __future__ import annotations

import math
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from handsigns.console.failure import group_failures, parse_failure
from handsigns.console.format import format_duration, percent, percent_interval, pluralize
from handsigns.console.sanitize import printable
from handsigns.console.table import fit_table
from handsigns.console.wrap import print_line
from handsigns.errors import INTERRUPTED
from handsigns.metrics import METRICS
from handsigns.workflow.next_step import next_step

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.reporting.leaderboard import Format
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch
    from handsigns.results.test_result import TestResult
    from handsigns.results.trial import TrialRecord
    from handsigns.tuning.request import SearchResult
    from handsigns.workflow.trials import FinishedRun

FAILED = 1
_TOP = 10
"""Number of trials, or misclassified images, printed."""
_MAX_CLASSES = 20
"""Maximum number of classes printed for a test; of more, only the worst."""


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Iterable[str] = (),
    objective: str | None = None,
) -> None:
    """Print a table on standard output.

    Cells and names of columns may be untrusted text. In a narrow terminal the last columns are
    dropped; the first two are kept, and of the metrics the objective is dropped last.

    Args:
        columns: names of the columns.
        rows: cells of each row.
        left: names of the left-aligned columns; the others are right-aligned.
        objective: name of the objective metric.
    """
    from rich.console import Console
    from rich.text import Text

    columns = [printable(name) for name in columns]
    cells = [[printable(cell) for cell in row] for row in rows]
    console = Console(highlight=False)
    table = fit_table(
        {name: [row[k] for row in cells] for k, name in enumerate(columns)},
        console.width if console.is_terminal else math.inf,
        text={printable(name) for name in left},
        droppable=_droppable(columns, objective),
    )
    for line in table.header:
        console.print(Text(line, "bold"), soft_wrap=True)
    for lines in table.body:
        print("\n".join(lines))
    if table.dropped:
        print_line(f"(in a wider terminal: {', '.join(name.strip() for name in table.dropped)})")


def _droppable(columns: Sequence[str], objective: str | None) -> list[str]:
    metrics = sorted(
        (name for name in columns[2:] if name in METRICS),
        key=lambda name: name == objective,
    )
    return [*(name for name in reversed(columns[2:]) if name not in metrics), *metrics]


def show_leaderboard(search: StoredSearch, top: int | None, form: Format = "table") -> None:
    """Print the leaderboard of a search, or its top trials."""
    from handsigns.reporting.leaderboard import write_leaderboard

    write_leaderboard(search, top, form, sys.stdout)


def show_run(finished: FinishedRun) -> int:
    """Print the outcome of a search; return the command's exit status."""
    search, outcome = finished.search, finished.outcome
    _show_outcome(search, outcome)
    if finished.hint:
        print_line(finished.hint)
    show_trackers(search.paths, search.config)
    if outcome.interrupted:
        return INTERRUPTED
    return 0 if any(record.has_result for record in outcome.records) else FAILED


def show_next(search: StoredSearch, file: TextIO | None = None) -> None:
    """Print the suggested next command for a search."""
    print_line(f"next: {next_step(search)}", file)


def _show_outcome(search: StoredSearch, outcome: SearchResult) -> None:
    from handsigns.policy.stopping import describe_outlook

    records = outcome.records
    counts = Counter(record.status for record in records)
    by_status = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    elapsed = format_duration(round(search.journal.elapsed))
    print()
    print_line(f"the search ended after {elapsed}: {outcome.reason}")
    print_line(f"{pluralize(len(records), 'trial')}: {by_status or 'none'}; {_savings(search)}")
    if outlook := describe_outlook(search):
        print_line(f"if it continued: {outlook}")
    print()
    print_line(f"leaderboard (best {min(_TOP, len(records))} by {search.config.objective.metric}):")
    show_leaderboard(search, _TOP)
    show_failures(search.paths, records)
    print()
    print_line(f"full leaderboard: {search.paths.leaderboard}")
    if search.best is None and not outcome.interrupted:
        print_line(f"there is no winner: {_no_winner_reason(search)}", sys.stderr)


def show_failures(paths: SearchPaths, records: Iterable[TrialRecord]) -> None:
    """Print the causes of failed trials, one line each, and where the tracebacks are."""
    found = group_failures((r.trial_id, r.error) for r in records if r.status == "failed")
    for failure, failed in found:
        which = f"trial {failed[0]}" if len(failed) == 1 else f"{len(failed)} trials"
        first = f" (first: {failed[0]})" if len(failed) > 1 else ""
        print_line(f"{which} failed{first}: {failure}")
    if found:
        print_line(f"full tracebacks: {paths.journal}")


def _no_winner_reason(search: StoredSearch) -> str:
    limit = search.config.budget.time_budget
    if limit is None or any(record.is_terminal for record in search.journal.records):
        return f"no trial has a result (reasons: {search.paths.trials})"
    more = search.paths.command(
        "resume", "--time-budget", format_duration(10 * limit), *search.paths.trust_options
    )
    return (
        f"no trial finished its first epoch in {format_duration(limit)}; the cause may be in "
        f"{search.paths.ray_log}. Extend the time budget: {more}"
    )


def _savings(search: StoredSearch) -> str:
    from handsigns.results.savings import early_stopping_savings

    saved = early_stopping_savings(search.journal.records, search.config.budget.max_epochs)
    share = f" ({saved.fraction:.0%})" if saved.max_epochs_total else ""
    return f"early stopping saved {pluralize(saved.saved_epochs, 'epoch')}{share}"


def show_trackers(paths: SearchPaths, config: SearchConfig) -> None:
    """Print how to view a search in its experiment trackers."""
    tools = config.tracking.enabled
    if not tools:
        return

    from handsigns.tracking.base import mlflow_uri

    uri = mlflow_uri(paths, config)
    mlflow_command = f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
    runs = f"{shlex.quote(str(paths.wandb))}/offline-run-*"
    commands = {
        "tensorboard": f"tensorboard --logdir {shlex.quote(str(paths.tensorboard))}",
        "mlflow": uri if uri.startswith("http") else mlflow_command,
        "wandb": f"wandb sync {runs}   (uploads them to Weights & Biases)",
    }
    for tool in tools:
        print(f"{tool + ':':13}{printable(commands[tool])}")


def show_reevaluation(search: StoredSearch, outcome: SearchResult | None) -> None:
    """Print the outcome of a re-evaluation, if anything was trained, and its ranking."""
    from handsigns.reporting.reevaluation import (
        missing_best_warning,
        table_columns,
        table_rows,
        verdict,
    )

    if outcome is not None:
        print()
        print_line(f"the re-evaluation ended: {outcome.reason}")
        _show_incomplete(outcome.records)
    if not search.reevaluated_trials:
        print_line(
            "note: no run finished for all trials; the first of the leaderboard remains the best"
        )
        return
    print()
    objective = search.config.objective
    show_table(table_columns(objective), table_rows(search), objective=objective.metric)
    for line in filter(None, (verdict(search), missing_best_warning(search))):
        print_line(line)


def _show_incomplete(records: Iterable[TrialRecord]) -> None:
    for record in records:
        if record.is_terminal and record.status != "completed":
            print_line(
                f"note: run {record.trial_id} {record.status}: {parse_failure(record.error)}"
            )


def show_test(paths: SearchPaths, result: TestResult) -> None:
    """Print the metrics of a test: by class, or of the worst classes if there are many."""
    from handsigns.results.class_scores import omission_note, worst_classes

    _show_accuracy(result)
    if result.test_evaluations > 1:
        print_line(
            f"note: the test split of this search has now been opened "
            f"{pluralize(result.test_evaluations, 'time')}; only the first result is unbiased by "
            f"later choices"
        )
    scores = worst_classes(result, _MAX_CLASSES)
    rows = [
        [
            score["class"],
            percent(score["precision"], 1),
            percent(score["recall"], 1),
            str(score["images"]),
        ]
        for score in scores
    ]
    show_table(("class", "precision", "recall", "images"), rows, left=("class",))
    file = paths.winner / "test.json"
    if note := omission_note(len(scores), len(result.classes), str(file)):
        print_line(f"note: the table shows {note}")
    for mistake in result.misclassified[:_TOP]:
        print_line(
            f"misclassified: {mistake.image} (true {mistake.true}, predicted {mistake.predicted})"
        )
    if len(result.misclassified) > _TOP:
        print_line(f"and {len(result.misclassified) - _TOP} more")
    print_line(f"written to {file}")


def _show_accuracy(result: TestResult) -> None:
    from handsigns.data.imbalance import rare_classes

    print()
    print_line(
        f"test accuracy {result.accuracy:.2%}: {result.correct}/{result.total} correct, "
        f"95 % confidence interval {percent_interval(result.interval, 2)}"
    )
    if rare_classes(result.class_sizes):
        print_line(
            f"balanced accuracy {result.balanced_accuracy:.2%}, macro F1 {result.macro_f1:.2%}: "
            f"every class counts the same"
        )
    correct, total = result.excluding_duplicates.correct, result.excluding_duplicates.total
    if total < result.total:
        share = f" ({correct / total:.2%})" if total else ""
        print_line(f"excluding near-duplicates of train and val: {correct}/{total} correct{share}")
    if len(result.accuracy_per_seed) > 1:
        from handsigns.reporting.summary import seeds_text

        print_line(f"by seed: {seeds_text(result.accuracy_per_seed)}")
