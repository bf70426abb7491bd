"""Headline of a search, and the commands to run next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handsigns.console.program import CONSOLE_SCRIPT
from handsigns.reporting.winner import WinnerSummary
from handsigns.results.search_state import Phase, SearchState
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord


@dataclass(frozen=True)
class Command:
    """Command line to copy, with a label that states its purpose."""

    label: str
    line: str


def headline(search: StoredSearch, phase: Phase) -> str:
    """Return a sentence that names the best trial and says whether that is final."""
    winner = search.winner
    if winner is None:
        return "No trial has a result yet" if phase == "running" else "No trial has a result"
    if phase == "finished":
        return f"Trial {winner.trial_id} won"
    finished = search.journal.num_finished
    total = max(search.config.budget.trials, len(search.journal))
    return f"Trial {winner.trial_id} leads so far, with {finished} of {total} trials finished"


def commands(
    search: StoredSearch, winner_summary: WinnerSummary, state: SearchState
) -> Iterator[Command]:
    """Yield the next commands; none while a process uses the search."""
    if state.lock_owner:
        return
    if state.phase == "interrupted":
        yield Command("Resume the search", _line(search, "resume"))
    retrained = state.winner == "retrained"
    if search.winner is not None and (state.phase == "finished" or retrained):
        yield from _commands_after_search(search, search.winner, winner_summary, state)


def _commands_after_search(
    search: StoredSearch, winner: TrialRecord, winner_summary: WinnerSummary, state: SearchState
) -> Iterator[Command]:
    retrained = state.winner == "retrained"
    tested = retrained and winner_summary.test is not None
    reevaluated = bool(search.reevaluated_trials) and state.reevaluation_finished
    if not reevaluated and not tested:
        yield Command("Re-evaluate the top trials with fresh seeds", _line(search, "reevaluate"))
    if not retrained:
        yield Command(
            "Retrain the best trial on the train and validation splits", _line(search, "retrain")
        )
    if not tested:
        openings = winner_summary.test_evaluations
        note = f" (opened {openings} times before)" if openings else ", once"
        yield Command(
            f"Evaluate the winner on the test split{note}",
            _line(search, "test", *state.test_options),
        )
    if winner_summary.retraining is not None:
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
