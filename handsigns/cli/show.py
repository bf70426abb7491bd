"""Printing that several commands share; what one command alone prints is in its module."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from handsigns.console.format import counted, format_duration, percent, percent_interval
from handsigns.console.sanitize import printable
from handsigns.workflow.next_step import next_step

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.reporting.leaderboard import Format
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord
    from handsigns.results.winner import TestResult
    from handsigns.tuning.session import SearchOutcome
    from handsigns.workflow.trials import FinishedRun

FAILED = 1
INTERRUPTED = 130
_TOP = 10
"""Trials, or misclassified images, that are printed."""
_PIPE_WIDTH = 250
"""Columns of a table in a pipe or file, which has no edge to fold at."""


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[str] = ()
) -> None:
    """Print a table on standard output; columns are aligned right unless they are named in `left`.

    Cells may be text from outside.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    aligned_left = set(left)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            Text(printable(column)), justify="left" if column in aligned_left else "right"
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(table)


def show_leaderboard(search: StoredSearch, top: int | None, form: Format = "table") -> None:
    """Print the best trials of a search, or all of them."""
    from handsigns.reporting.leaderboard import write_leaderboard

    write_leaderboard(search, top, form, sys.stdout)


def show_run(finished: FinishedRun) -> int:
    """Print how a search ended and where to look at it; return the command's exit status."""
    search, outcome = finished.search, finished.outcome
    _show_outcome(search, outcome)
    if finished.hint:
        print(finished.hint)
    show_trackers(search.paths, search.study)
    if outcome.by_user:
        return INTERRUPTED
    return 0 if any(record.has_result for record in outcome.records) else FAILED


def show_next(search: StoredSearch, file: TextIO | None = None) -> None:
    """Print what can be done next with a search, as it stands."""
    print(f"next: {printable(next_step(search))}", file=file)


def _show_outcome(search: StoredSearch, outcome: SearchOutcome) -> None:
    records = outcome.records
    counts = Counter(record.status for record in records)
    by_status = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    spent = format_duration(round(search.journal.elapsed))
    print(f"\nthe search ended after {spent}: {outcome.reason}")
    print(f"{counted(len(records), 'trial')}: {by_status or 'none'}; {_savings(search)}")
    print(f"\nleaderboard (best {min(_TOP, len(records))} by {search.study.objective.metric}):")
    show_leaderboard(search, _TOP)
    _show_failures(records)
    print(f"\nall of it: {search.paths.leaderboard}")
    if search.best is None and not outcome.by_user:
        print(f"there is no winner: {_why_none(search)}", file=sys.stderr)


def _show_failures(records: Iterable[TrialRecord]) -> None:
    for record in records:
        if record.status == "failed":
            print(f"trial {record.trial_id} failed: {printable(record.error.strip())}")


def _why_none(search: StoredSearch) -> str:
    limit = search.study.budget.time_budget
    if limit is None or any(record.ended for record in search.journal.records):
        return f"no trial has a result; see the reasons in {search.paths.trials}"
    more = search.paths.command("resume", "--time-budget", format_duration(10 * limit))
    return (
        f"no trial ended its first epoch in {format_duration(limit)}; what held it up may stand in "
        f"{search.paths.log}. Give it more time: {more}"
    )


def _savings(search: StoredSearch) -> str:
    from handsigns.results.statistics import savings

    saved = savings(search.journal.records, search.study.budget.max_epochs)
    share = f" ({saved.share:.0%} of them all)" if saved.full else ""
    return f"early stopping saved {counted(saved.saved, 'epoch')}{share}"


def show_trackers(paths: SearchPaths, study: StudyConfig) -> None:
    """Print where to look at a search in its experiment trackers."""
    tools = study.tracking.tools
    if not tools:
        return

    from handsigns.tracking.base import mlflow_uri

    uri = mlflow_uri(paths, study)
    commands = {
        "tensorboard": f"tensorboard --logdir {paths.tensorboard}",
        "mlflow": uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}",
        "wandb": f"wandb sync {paths.wandb}/offline-run-*   (sends them to Weights & Biases)",
    }
    for tool in tools:
        print(f"{tool + ':':13}{printable(commands[tool])}")


def show_reevaluation(search: StoredSearch, outcome: SearchOutcome | None) -> None:
    """Print how a re-evaluation ended, if anything was trained, and the ranking by it."""
    from handsigns.reporting.reevaluation import COLUMNS, left_out, rows, verdict

    if outcome is not None:
        print(f"\nthe re-evaluation ended: {outcome.reason}")
        _show_incomplete(outcome.records)
    if not search.finalists:
        print("note: no run of all of them was finished, so the leaderboard's first stays the best")
        return
    print()
    show_table(COLUMNS, rows(search))
    for line in filter(None, (verdict(search), left_out(search))):
        print(line)


def _show_incomplete(records: Iterable[TrialRecord]) -> None:
    for record in records:
        if record.ended and record.status != "completed":
            reason = printable((record.error.strip() or "?").splitlines()[-1])
            print(f"note: run {record.trial_id} {record.status}: {reason}")


def show_test(paths: SearchPaths, result: TestResult) -> None:
    """Print the figures of a test, class by class."""
    _show_accuracy(result)
    if result.openings > 1:
        print(
            f"note: the test split of this search has now been opened "
            f"{counted(result.openings, 'time')}; "
            f"only the first result is free of choices made after it"
        )
    rows = [
        [
            row["class"],
            percent(row["precision"], 1),
            percent(row["recall"], 1),
            str(row["pictures"]),
        ]
        for row in result.per_class()
    ]
    show_table(("class", "precision", "recall", "pictures"), rows, left=("class",))
    for mistake in result.wrong[:_TOP]:
        true, predicted = printable(mistake.true), printable(mistake.predicted)
        print(f"wrong: {printable(mistake.picture)}: {true} taken for {predicted}")
    print(f"written to {paths.winner / 'test.json'}")


def _show_accuracy(result: TestResult) -> None:
    print(
        f"\ntest accuracy {result.accuracy:.2%}: {result.correct} of {result.total} right, "
        f"95 % interval {percent_interval(result.interval, 2)}"
    )
    correct, unseen = result.unseen.correct, result.unseen.total
    if unseen < result.total:
        share = f" ({correct / unseen:.2%})" if unseen else ""
        print(f"of the {unseen} that are in neither train nor val: {correct} right{share}")
    if len(result.per_seed) > 1:
        from handsigns.reporting.summary import seeds_text

        print(f"by seed: {seeds_text(result.per_seed)}")
