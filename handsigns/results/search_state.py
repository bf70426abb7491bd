"""State of a search, which decides what can be done with it next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handsigns.errors import ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.results.search_lock import lock_owner
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import CONFIG_FILE, read_model_card

Phase = Literal["running", "interrupted", "finished"]
"""Phase of a search; an interrupted search can be resumed."""
WinnerState = Literal["missing", "damaged", "outdated", "retrained"]
"""State of a retrained winner; ``outdated`` if its trial is no longer the best, unless the user
chose it."""


@dataclass(frozen=True)
class SearchState:
    """State of a search.

    Attributes:
        phase: see `Phase`.
        lock_owner: process that uses the search, perhaps to retrain its winner; empty if none does.
        winner: see `WinnerState`.
        reevaluation_finished: whether no run of a re-evaluation is left to train.
        test_options: options with which `test` accepts a retrained winner.
    """

    phase: Phase
    lock_owner: str
    winner: WinnerState
    reevaluation_finished: bool
    test_options: tuple[str, ...]


def read_search_state(search: StoredSearch) -> SearchState:
    """Return the state of a search; damaged files of its winner or re-evaluation are no error."""
    owner, journal = lock_owner(search.paths), search.journal
    phase: Phase = "interrupted" if journal.interrupted else "finished"
    if not journal.stop_reason:
        phase = "running" if owner else "interrupted"
    try:
        best, reevaluation_finished = search.winner, search.reevaluation_finished
    except ResultsError:
        best, reevaluation_finished = search.best, False
    winner, options = _winner_state(search.paths, best)
    return SearchState(phase, owner, winner, reevaluation_finished, options)


def _winner_state(
    paths: SearchPaths, best: TrialRecord | None
) -> tuple[WinnerState, tuple[str, ...]]:
    if not (paths.winner / CONFIG_FILE).exists():
        return "missing", ()
    try:
        card = read_model_card(paths.winner)
    except ResultsError:
        return "damaged", ()
    if card.chosen_by_user or (best is not None and card.trial_id == best.trial_id):
        return "retrained", card.test_options
    return "outdated", ()
