"""What a user can do next with a search, as its files stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.errors import ResultsError

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch


def next_step(search: StoredSearch) -> str:
    """Return the next command, after what it is for: that of the winner, once there is one."""
    from handsigns.results.store import holder
    from handsigns.results.winner import CONFIG_FILE

    paths, journal = search.paths, search.journal
    by = holder(paths)
    if by and journal.ended_because:
        return f"wait for {by}, which works on it"
    if by:
        return f"follow it while it runs: {paths.command('watch')}"
    if (paths.winner / CONFIG_FILE).exists():
        return winner_step(paths)
    if not journal.ended_because or journal.interrupted:
        return f"resume it: {paths.go_on}"
    if search.best is None:
        more = paths.command("resume", "--trials", str(2 * len(journal.records) or 1), *paths.trust)
        return f"no trial has a result (see the reasons in {paths.trials}); try more: {more}"
    if _reevaluation_unfinished(search):
        return f"resume the re-evaluation: {paths.repeats.go_on}"
    return f"retrain the best: {paths.command('retrain', *paths.trust)}"


def ensure_winner(paths: SearchPaths) -> None:
    """Check that a winner was retrained; its files may still be damaged.

    Raises:
        ResultsError: none was; with what comes before that.
    """
    from handsigns.results.store import open_search
    from handsigns.results.winner import CONFIG_FILE

    if not (paths.winner / CONFIG_FILE).exists():
        step = next_step(open_search(paths))
        raise ResultsError(f"no retrained winner in {paths.winner}; {step}")


def _reevaluation_unfinished(search: StoredSearch) -> bool:
    try:
        return not search.plan_finished
    except ResultsError:
        return True


def winner_step(paths: SearchPaths, done: str = "") -> str:
    """Return what can be done next with a retrained winner.

    Args:
        paths: of its search.
        done: the command that was just run, which is not suggested again.
    """
    from handsigns.results.winner import read_card, read_test

    try:
        after = ("--after-test",) if read_card(paths.winner).chosen_after_test else ()
    except ResultsError:
        return f"the winner is damaged; retrain: {paths.command('retrain', *paths.trust)}"
    test = paths.command("test", *after, *paths.trust)
    try:
        result = read_test(paths.winner)
    except ResultsError:
        return f"the test result is damaged; test again: {test}"
    if result is None:
        return f"test the retrained winner, once: {test}"
    if done == "predict":
        return f"answer requests with it: {paths.command('serve', *paths.trust)}"
    return f"classify images: {paths.command('predict', 'IMAGE…', *paths.trust)}"
