"""Suggested next command for a search, from the state of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.errors import ResultsError, UnreadableError

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch


def next_step(search: StoredSearch) -> str:
    """Return the suggested next command and its purpose."""
    from handsigns.results.search_state import read_search_state

    paths, state = search.paths, read_search_state(search)
    if state.phase == "running":
        return f"watch it: {paths.command('watch')}"
    if state.lock_owner:
        return f"wait for {state.lock_owner}, which is using it"
    if state.winner in ("retrained", "damaged"):
        return winner_step(paths)
    if state.phase == "interrupted":
        return f"resume it: {paths.resume_command}"
    if search.best is None:
        more = paths.command(
            "resume", "--trials", str(2 * len(search.journal) or 1), *paths.trust_options
        )
        return f"no trial has a result (reasons: {paths.trials}); run more: {more}"
    if not state.reevaluation_finished:
        return f"resume the re-evaluation: {paths.reevaluation.resume_command}"
    return f"retrain the best trial: {paths.command('retrain', *paths.trust_options)}"


def ensure_winner(paths: SearchPaths) -> None:
    """Check that there is a retrained winner; its files may still be damaged.

    Raises:
        ResultsError: there is none; the message suggests the next step.
    """
    from handsigns.results.store import open_search
    from handsigns.results.winner import CONFIG_FILE

    if not (paths.winner / CONFIG_FILE).exists():
        step = next_step(open_search(paths))
        raise ResultsError(f"no retrained winner in {paths.winner}; {step}")


def winner_step(paths: SearchPaths, done: str = "") -> str:
    """Return the suggested next command for a retrained winner.

    Args:
        paths: paths of its search.
        done: command that was just run, which is not suggested again.
    """
    from handsigns.results.test_result import read_test_result
    from handsigns.results.winner import read_model_card

    try:
        options = read_model_card(paths.winner).test_options
    except ResultsError:
        return f"the winner is damaged; retrain: {paths.command('retrain', *paths.trust_options)}"
    test = paths.command("test", *options, *paths.trust_options)
    try:
        result = read_test_result(paths.winner)
    except UnreadableError as error:
        return str(error)
    except ResultsError:
        return f"the test result is damaged; test again: {test}"
    if result is None:
        return f"test the retrained winner, once: {test}"
    if done == "predict":
        return f"try it with a camera: {paths.command('serve', *paths.trust_options)}"
    return f"classify images: {paths.command('predict', 'IMAGE…', *paths.trust_options)}"
