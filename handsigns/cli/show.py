"""What a command tells the user when it is done."""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from handsigns.console.format import MISSING, format_duration, percent, percent_interval
from handsigns.console.sanitize import printable

if TYPE_CHECKING:
    from handsigns.errors import HandsignsError
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import Session
    from handsigns.tuning.session import SearchOutcome
    from handsigns.winner.model import ModelCard
    from handsigns.winner.predict import Prediction
    from handsigns.winner.retrain import Retraining
    from handsigns.winner.test import TestResult

_TOP = 10


def show_outcome(search: StoredSearch, outcome: SearchOutcome) -> None:
    """How the search ended, its best trials, and how to go on."""
    from handsigns.report.leaderboard import write_leaderboard

    records = outcome.records
    counts = Counter(record.status for record in records)
    by_status = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    spent = format_duration(round(search.journal.elapsed))
    print(f"\nthe search ended after {spent}: {outcome.reason}")
    print(f"{len(records)} trials: {by_status or 'none'}; {_savings(search)}")
    print(f"\nleaderboard (best {min(_TOP, len(records))} by {search.study.objective.metric}):")
    write_leaderboard(search, _TOP, "table", sys.stdout)
    for record in records:
        if record.status == "failed":
            print(f"trial {record.trial_id} failed: {printable(record.error.strip())}")
    print(f"\nall of it: {search.paths.leaderboard}")
    if outcome.by_user:
        print(f"go on with: python tune_main.py resume {search.paths.name}")
    elif search.best is None:
        print(f"there is no winner: {_why_none(search)}", file=sys.stderr)


def _why_none(search: StoredSearch) -> str:
    limit = search.study.budget.time_budget
    if limit is None or any(record.ended for record in search.journal.records):
        return f"no trial has a result; see the reasons in {search.paths.trials}"
    return (
        f"no trial ended its first epoch in {format_duration(limit)}; what held it up may stand in "
        f"{search.paths.log}. Give it more time: python tune_main.py resume {search.paths.name} "
        f"--time-budget {format_duration(10 * limit)}"
    )


def _savings(search: StoredSearch) -> str:
    from handsigns.results.statistics import savings

    spared = savings(search.journal.records, search.study.budget.max_epochs)
    share = f" ({spared.share:.0%} of them all)" if spared.full else ""
    return f"early stopping saved {spared.saved} epochs{share}"


def show_searches(searches: Sequence[StoredSearch | tuple[str, HandsignsError]]) -> None:
    """A line for each search; for one whose files are damaged, its name and what is wrong."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "data", "trials", "best val_accuracy", "best val_loss", "winner"):
        table.add_column(column, justify="right" if column.startswith(("best", "tri")) else "left")
    for search in searches:
        if isinstance(search, tuple):
            name, error = search
            table.add_row(name, Text(printable(str(error))))
            continue
        best = search.ranked[0].last if search.ranked else None
        table.add_row(
            search.paths.name,
            Text(printable(search.data.info.source)),
            str(len(search.journal.records)),
            percent(best.val_accuracy) if best else MISSING,
            f"{best.val_loss:.4f}" if best else MISSING,
            _tested(search.paths),
        )
    console().print(table)


def _tested(paths: SearchPaths) -> str:
    from handsigns.errors import ResultsError
    from handsigns.results.winner import TEST_FILE, read_test

    try:
        test = read_test(paths.winner)
    except ResultsError:
        return f"{TEST_FILE} is damaged"
    if test is not None:
        return f"test accuracy {test.accuracy:.2%}"
    return "retrained" if paths.winner.is_dir() else MISSING


def show_changes(sessions: Sequence[Session]) -> None:
    """What differs between a trial's sessions and here and now, where that may change numbers."""
    from handsigns.results.environment import changed_code, changed_machine, describe_environment

    now = describe_environment()
    for session in sessions:
        then = session.environment
        for change in (*changed_code(then, now), *changed_machine(then, now)):
            print(f"note: since the trial was trained, {printable(change)}")


def show_finals(search: StoredSearch, outcome: SearchOutcome | None) -> None:
    """What measuring the best trials again came to."""
    from handsigns.report import reevaluation as finals

    if outcome is not None:
        print(f"\nthe re-evaluation ended: {outcome.reason}")
        for record in outcome.records:
            if record.ended and record.status != "completed":
                reason = printable((record.error.strip() or "?").splitlines()[-1])
                print(f"note: run {record.trial_id} {record.status}: {reason}")
    if not search.finalists:
        print("note: no run of all of them was finished, so the leaderboard's first stays the best")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in finals.COLUMNS:
        table.add_column(column, justify="right")
    for row in finals.rows(search):
        table.add_row(*row)
    print()
    console().print(table)
    for line in (finals.verdict(search), finals.left_out(search)):
        if line:
            print(line)


def show_retraining(paths: SearchPaths, card: ModelCard, runs: Sequence[Retraining]) -> None:
    """What was trained and kept."""
    seconds = [sum(m.epoch_seconds for m in run.epochs) for run in runs]
    kept = "the one with the lowest loss on these pictures"
    if len(card.seeds) > 1:
        kept = f"{len(card.seeds)} as an ensemble"
    print(
        f"\nretrained trial {card.trial_id} ({card.chosen}) for {card.epochs} epochs with "
        f"{len(runs)} fresh seeds, {statistics.mean(seconds):.1f} s each; kept {kept}: "
        f"{paths.winner / 'model.safetensors'}"
    )


def show_test(paths: SearchPaths, result: TestResult) -> None:
    """The test's figures, class by class."""
    print(
        f"\ntest accuracy {result.accuracy:.2%}: {result.correct} of {result.total} right, "
        f"95 % interval {percent_interval(result.interval, 2)}"
    )
    right, fresh = result.unseen
    if fresh < result.total:
        share = f" ({right / fresh:.2%})" if fresh else ""
        print(f"of the {fresh} that are in neither train nor val: {right} right{share}")
    if len(result.per_seed) > 1:
        from handsigns.report.summary import seeds_text

        print(f"by seed: {seeds_text(result.per_seed)}")
    if result.openings > 1:
        print(
            f"note: the test split of this search has now been opened {result.openings} times; "
            f"only the first result is free of choices made after it"
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("class", "precision", "recall", "pictures"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for row in result.per_class():
        table.add_row(
            Text(printable(row["class"])),
            percent(row["precision"], 1),
            percent(row["recall"], 1),
            str(row["pictures"]),
        )
    console().print(table)
    for mistake in result.wrong[:_TOP]:
        true, predicted = printable(mistake.true), printable(mistake.predicted)
        print(f"wrong: {printable(mistake.picture)}: {true} taken for {predicted}")
    print(f"written to {paths.winner / 'test.json'}")


def show_predictions(predictions: Sequence[Prediction], form: str) -> None:
    """A line, or a JSON object, for each picture."""
    if form == "json":
        rows = [
            {"picture": str(p.picture), "label": p.label, "probabilities": p.probabilities}
            for p in predictions
        ]
        print(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture")
    table.add_column("label")
    for name in predictions[0].probabilities:
        table.add_column(Text(printable(name)), justify="right")
    for p in predictions:
        shares = [percent(share, 1) for share in p.probabilities.values()]
        table.add_row(Text(printable(str(p.picture))), Text(printable(p.label)), *shares)
    console().print(table)


def show_places(paths: SearchPaths) -> None:
    """Where everything is, at the end of a run."""
    own_code = " --own-code" if paths.own_code.is_dir() else ""
    print(
        f"\neverything is in {paths.root}:\n"
        f"  leaderboard.csv            the trials, best first; also trials.csv and epochs.csv\n"
        f"  winner/model.safetensors   the retrained model, with config.yaml and metrics.json\n"
        f"  winner/test.json           its test result\n"
        f"  study.yaml                 the search as it was run\n"
        f"try it: python tune_main.py predict {paths.name} IMAGE…{own_code}\n"
        f"check:  python tune_main.py replay {paths.name} TRIAL{own_code}"
    )


def console() -> Console:
    """Standard output, for tables."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = 250  # a pipe or file has no edge to fold at
    return out
