"""How far a search has come, and the commands that are left to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from handsigns.console.program import INSTALLED
from handsigns.reporting.winner import Winner
from handsigns.results.store import StoredSearch, holder

Phase = Literal["running", "interrupted", "ended"]
"""Of a search; one that was interrupted can be resumed."""


@dataclass(frozen=True)
class Command:
    """What it is good for, and the line to copy."""

    label: str
    line: str


def phase(search: StoredSearch) -> Phase:
    """Return how far a search has come."""
    journal = search.journal
    if not journal.ended_because:
        return "running" if holder(search.paths) else "interrupted"
    concluded = journal.concluded >= sum(record.ended for record in journal.records)
    return "ended" if concluded else "interrupted"


def headline(search: StoredSearch, now: Phase) -> str:
    """Return which trial is the best, and whether that is final."""
    winner = search.winner
    if winner is None:
        return "No trial has a result yet" if now == "running" else "No trial has a result"
    if now == "ended":
        return f"Trial {winner.trial_id} won"
    ended = sum(record.ended for record in search.journal.records)
    total = max(search.study.budget.trials, len(search.journal.records))
    return f"Trial {winner.trial_id} leads so far, with {ended} of {total} trials ended"


def commands(search: StoredSearch, known: Winner, now: Phase) -> list[Command]:
    """Return what is left to do; nothing while the search runs."""
    if now == "running":
        return []
    if now == "interrupted":
        return [Command("Resume the search", _line(search, "resume"))]
    return list(_after_the_end(search, known))


def _after_the_end(search: StoredSearch, known: Winner) -> Iterator[Command]:
    winner = search.winner
    if winner is None:
        return
    trained, test = known.retraining, known.test
    chosen = trained is not None and (
        trained.trial_id == winner.trial_id or (test is not None and test.chosen == "by hand")
    )
    tested = chosen and test is not None and trained is not None
    if not search.finalists and not tested:
        yield Command(
            "Re-evaluate the top trials with fresh seeds, to be sure", _line(search, "reevaluate")
        )
    if not chosen:
        yield Command(
            "Retrain the best trial on train and validation split", _line(search, "retrain")
        )
    if not tested:
        again = f" (it was opened {known.openings} times before)" if known.openings else ", once"
        yield Command(f"Evaluate the winner on the test split{again}", _line(search, "test"))
    if trained is not None:
        yield Command("Classify images with the winner", _line(search, "predict", "IMAGE…"))
    yield Command(
        "Replay the best trial and compare every epoch", replay_line(search, winner.trial_id)
    )


def replay_line(search: StoredSearch, trial_id: str) -> str:
    """Return the command that runs a trial again."""
    return _line(search, "replay", trial_id)


def _line(search: StoredSearch, command: str, *arguments: str) -> str:
    return search.paths.command(command, *arguments, form=INSTALLED)
