"""Phase of a search, and the commands to run next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from handsigns.console.program import CONSOLE_SCRIPT
from handsigns.reporting.winner import WinnerSummary
from handsigns.results.search_lock import lock_owner
from handsigns.results.store import StoredSearch

Phase = Literal["running", "interrupted", "finished"]
"""Phase of a search; an interrupted search can be resumed."""


@dataclass(frozen=True)
class Command:
    """Command line to copy, with a label that states its purpose."""

    label: str
    line: str


def phase(search: StoredSearch) -> Phase:
    """Return the phase of a search."""
    journal = search.journal
    if not journal.stop_reason:
        return "running" if lock_owner(search.paths) else "interrupted"
    num_ended = sum(record.is_terminal for record in journal.records)
    concluded = journal.conclusion is not None and journal.conclusion.num_ended >= num_ended
    return "finished" if concluded else "interrupted"


def headline(search: StoredSearch, current_phase: Phase) -> str:
    """Return a sentence that names the best trial and says whether that is final."""
    winner = search.winner
    if winner is None:
        return (
            "No trial has a result yet" if current_phase == "running" else "No trial has a result"
        )
    if current_phase == "finished":
        return f"Trial {winner.trial_id} won"
    finished = sum(record.is_terminal for record in search.journal.records)
    total = max(search.config.budget.trials, len(search.journal.records))
    return f"Trial {winner.trial_id} leads so far, with {finished} of {total} trials finished"


def commands(
    search: StoredSearch, winner_summary: WinnerSummary, current_phase: Phase
) -> list[Command]:
    """Return the next commands; none while the search runs."""
    if current_phase == "running":
        return []
    if current_phase == "interrupted":
        return [Command("Resume the search", _line(search, "resume"))]
    return list(_post_search_commands(search, winner_summary))


def _post_search_commands(search: StoredSearch, winner_summary: WinnerSummary) -> Iterator[Command]:
    winner = search.winner
    if winner is None:
        return
    retraining, test = winner_summary.retraining, winner_summary.test
    retrained = retraining is not None and (
        retraining.trial_id == winner.trial_id
        or (test is not None and test.selected_by in ("user", "smallest"))
    )
    tested = retrained and test is not None
    if not search.reevaluated_trials and not tested:
        yield Command("Re-evaluate the top trials with fresh seeds", _line(search, "reevaluate"))
    if not retrained:
        yield Command(
            "Retrain the best trial on the train and validation splits", _line(search, "retrain")
        )
    if not tested:
        openings = winner_summary.test_evaluations
        note = f" (opened {openings} times before)" if openings else ", once"
        yield Command(f"Evaluate the winner on the test split{note}", _line(search, "test"))
    if retraining is not None:
        yield Command("Classify images with the winner", _line(search, "predict", "IMAGE…"))
    yield Command(
        "Replay the best trial and compare every epoch", replay_line(search, winner.trial_id)
    )


def suspects_command(search: StoredSearch) -> Command:
    """Return the command that writes the suspect labels to a table."""
    line = search.paths.command("suspects", program_name=CONSOLE_SCRIPT)
    return Command("Write them to a table, to be edited", line)


def replay_line(search: StoredSearch, trial_id: str) -> str:
    """Return the command that replays a trial."""
    return _line(search, "replay", trial_id)


def _line(search: StoredSearch, command: str, *arguments: str) -> str:
    """Return the line of a command that trains or loads a model."""
    options = search.paths.trust_options
    return search.paths.command(command, *arguments, *options, program_name=CONSOLE_SCRIPT)
