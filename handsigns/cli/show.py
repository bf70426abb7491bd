"""Printing that several commands share; what one command alone prints is in its module."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from handsigns.console.failure import failure_of, failures
from handsigns.console.format import counted, format_duration, percent, percent_interval
from handsigns.console.sanitize import printable
from handsigns.console.table import lay_out
from handsigns.console.wrap import show_line
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
_MOST_CLASSES = 20
"""Of a test; the worst of more."""


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Iterable[str] = (),
    objective: str | None = None,
) -> None:
    """Print a table on standard output; columns are aligned right unless they are named in `left`.

    Cells may be text from outside. In a narrow terminal the last columns are left out; the first
    two stay, and of the metrics the objective is the last to go.
    """
    from rich.console import Console
    from rich.text import Text

    cells = [[printable(cell) for cell in row] for row in rows]
    console = Console(highlight=False)
    table = lay_out(
        {name: [row[k] for row in cells] for k, name in enumerate(columns)},
        console.width if console.is_terminal else math.inf,
        text=set(left),
        spared=_spared(columns, objective),
    )
    for line in table.header:
        console.print(Text(line, "bold"), soft_wrap=True)
    for lines in table.body:
        print("\n".join(lines))
    if table.dropped:
        show_line(f"({', '.join(name.strip() for name in table.dropped)}: in a wider terminal)")


def _spared(columns: Sequence[str], objective: str | None) -> list[str]:
    metrics = sorted(
        (name for name in columns[2:] if name in ("val_loss", "val_accuracy")),
        key=lambda name: name == objective,
    )
    return [*(name for name in reversed(columns[2:]) if name not in metrics), *metrics]


def show_leaderboard(search: StoredSearch, top: int | None, form: Format = "table") -> None:
    """Print the best trials of a search, or all of them."""
    from handsigns.reporting.leaderboard import write_leaderboard

    write_leaderboard(search, top, form, sys.stdout)


def show_run(finished: FinishedRun) -> int:
    """Print how a search ended and where to look at it; return the command's exit status."""
    search, outcome = finished.search, finished.outcome
    _show_outcome(search, outcome)
    if finished.hint:
        show_line(finished.hint)
    show_trackers(search.paths, search.study)
    if outcome.by_user:
        return INTERRUPTED
    return 0 if any(record.has_result for record in outcome.records) else FAILED


def show_next(search: StoredSearch, file: TextIO | None = None) -> None:
    """Print what can be done next with a search, as it stands."""
    show_line(f"next: {next_step(search)}", file)


def _show_outcome(search: StoredSearch, outcome: SearchOutcome) -> None:
    records = outcome.records
    counts = Counter(record.status for record in records)
    by_status = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    spent = format_duration(round(search.journal.elapsed))
    print()
    show_line(f"the search ended after {spent}: {outcome.reason}")
    show_line(f"{counted(len(records), 'trial')}: {by_status or 'none'}; {_savings(search)}")
    print()
    show_line(f"leaderboard (best {min(_TOP, len(records))} by {search.study.objective.metric}):")
    show_leaderboard(search, _TOP)
    show_failures(search.paths, records)
    print()
    show_line(f"all of it: {search.paths.leaderboard}")
    if search.best is None and not outcome.by_user:
        show_line(f"there is no winner: {_why_none(search)}", sys.stderr)


def show_failures(paths: SearchPaths, records: Iterable[TrialRecord]) -> None:
    """Print why trials failed, a line for each cause, and where the tracebacks are."""
    found = failures((r.trial_id, r.error) for r in records if r.status == "failed")
    for failure, failed in found:
        which = f"trial {failed[0]}" if len(failed) == 1 else f"{len(failed)} trials"
        more = f" (the first is {failed[0]})" if len(failed) > 1 else ""
        show_line(f"{which} failed{more}: {failure}")
    if found:
        show_line(f"full tracebacks: {paths.journal}")


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
        print()
        show_line(f"the re-evaluation ended: {outcome.reason}")
        _show_incomplete(outcome.records)
    if not search.finalists:
        show_line(
            "note: no run of all of them was finished, so the leaderboard's first stays the best"
        )
        return
    print()
    show_table(COLUMNS, rows(search), objective=search.study.objective.metric)
    for line in filter(None, (verdict(search), left_out(search))):
        show_line(line)


def _show_incomplete(records: Iterable[TrialRecord]) -> None:
    for record in records:
        if record.ended and record.status != "completed":
            show_line(f"note: run {record.trial_id} {record.status}: {failure_of(record.error)}")


def show_test(paths: SearchPaths, result: TestResult) -> None:
    """Print the figures of a test: of each class, or of the worst where there are many."""
    from handsigns.results.class_scores import left_out, worst_classes

    _show_accuracy(result)
    if result.openings > 1:
        show_line(
            f"note: the test split of this search has now been opened "
            f"{counted(result.openings, 'time')}; "
            f"only the first result is free of choices made after it"
        )
    scores = worst_classes(result, _MOST_CLASSES)
    rows = [
        [
            score["class"],
            percent(score["precision"], 1),
            percent(score["recall"], 1),
            str(score["pictures"]),
        ]
        for score in scores
    ]
    show_table(("class", "precision", "recall", "images"), rows, left=("class",))
    file = paths.winner / "test.json"
    if note := left_out(len(scores), len(result.classes), str(file)):
        show_line(f"note: these are {note}")
    for mistake in result.wrong[:_TOP]:
        show_line(
            f"misclassified: {mistake.picture} (true {mistake.true}, predicted {mistake.predicted})"
        )
    if len(result.wrong) > _TOP:
        show_line(f"and {len(result.wrong) - _TOP} more")
    show_line(f"written to {file}")


def _show_accuracy(result: TestResult) -> None:
    print()
    show_line(
        f"test accuracy {result.accuracy:.2%}: {result.correct}/{result.total} correct, "
        f"95 % interval {percent_interval(result.interval, 2)}"
    )
    correct, unseen = result.unseen.correct, result.unseen.total
    if unseen < result.total:
        share = f" ({correct / unseen:.2%})" if unseen else ""
        show_line(f"of the {unseen} that are in neither train nor val: {correct} correct{share}")
    if len(result.per_seed) > 1:
        from handsigns.reporting.summary import seeds_text

        show_line(f"by seed: {seeds_text(result.per_seed)}")
