"""Progress of a search, followed from another process that only reads its files.

A live block in a terminal, plain lines elsewhere; both end when the search does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from handsigns.config.load import load_search_config
from handsigns.console.format import pluralize
from handsigns.console.sanitize import printable
from handsigns.monitor.status import SearchStatus, describe_outcome
from handsigns.monitor.text_charts import sparkline
from handsigns.policy.stopping import describe_outlook
from handsigns.results.paths import SearchPaths
from handsigns.results.savings import early_stopping_savings
from handsigns.results.search_lock import lock_owner
from handsigns.results.statistics import winner_changes
from handsigns.results.store import StoredSearch, open_search
from handsigns.results.trial import Decision, TrialRecord

_HEARTBEAT_INTERVAL_S = 30.0
_MAX_RUNNING_CURVES, _MAX_BEST_CURVES, _MIN_CURVES = 8, 5, 2
"""Numbers of learning curves shown; small terminals show fewer."""
_NON_CURVE_LINES = 14
"""Approximate number of lines of the block besides the curves."""


class WatchedSearch:
    """State of a search, refreshed from its files.

    Args:
        paths: paths of an existing search.
        now: clock, in seconds since the Unix epoch.
    """

    def __init__(self, paths: SearchPaths, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._was_running = False
        self._load(open_search(paths), lock_owner(paths))

    def _load(self, search: StoredSearch, driver: str) -> None:
        self.search = search
        self.driver = driver
        """The process that holds the search's lock, as text; empty if there is none."""
        self.ranked = search.ranked
        self._was_running |= self.running

    def refresh(self) -> int:
        """Read the new events, and return how many there are.

        Raises:
            ResultsError: a file of the search is damaged.
        """
        paths, journal = self.search.paths, self.search.journal
        driver = lock_owner(paths)  # read first: if there is none, the journal is complete
        sessions = len(journal.sessions)
        new = journal.refresh()
        search_config = self.search.config
        if len(journal.sessions) > sessions:
            # The resume may have raised the budget.
            search_config = load_search_config(paths.search_config)
        self.driver = driver
        if new:
            self._load(StoredSearch(paths, search_config, self.search.data, journal), driver)
        return new

    @property
    def running(self) -> bool:
        """Whether trials are being trained, as far as is known."""
        return bool(self.driver) and not self.search.journal.stop_reason

    @property
    def is_finished(self) -> bool:
        """Whether no more events are expected.

        No process holds the search's lock, or the search ended while it was watched (its process
        may still retrain the winner).
        """
        return not self.driver or (self._was_running and not self.running)

    @property
    def ended_trials(self) -> list[TrialRecord]:
        """Trials with a final status."""
        return [record for record in self.search.journal.records if record.is_terminal]

    def status_line(self) -> str:
        """Return whether the search is running, or why it is not."""
        name, journal = self.search.paths.name, self.search.journal
        if self.running:
            return f"{name} is being run by {self.driver}"
        if journal.stop_reason:
            text = f"{name} has ended: {printable(journal.stop_reason)}"
            return f"{text} (locked by {self.driver})" if self.driver else text
        return f"{name} was interrupted; resume with: {self.search.paths.resume_command}"

    def status(self) -> SearchStatus:
        """Return the status of the search."""
        journal, budget = self.search.journal, self.search.config.budget
        elapsed = journal.elapsed
        if self.running and journal.updated_at is not None:
            elapsed += max(0.0, self._now() - journal.updated_at)
        limit = budget.time_budget
        # A search that has tried every configuration finds no better winner.
        can_improve = self.running or describe_outlook(self.search)
        changes = winner_changes(journal, self.search.config.objective).seconds
        best_terminal = (
            record for record in self.ranked if record.is_terminal and record.has_result
        )
        return SearchStatus(
            self.search.config,
            num_trials=len(journal),
            status_counts=Counter(r.status for r in journal.records if r.is_finished),
            savings=early_stopping_savings(journal.records, budget.max_epochs),
            best=self.ranked[0] if self.ranked else None,
            elapsed=elapsed - journal.session_start_elapsed,
            remaining=None if limit is None else max(0.0, limit - elapsed),
            running=self.running,
            best_terminal=next(best_terminal, None),
            elapsed_before=journal.session_start_elapsed,
            num_ended_before_session=journal.num_ended_before_session,
            winner_changes=changes if can_improve else (),
        )

    def render(self, width: int, height: int) -> Group:
        """Return the whole display, in lines of at most `width` columns if possible."""
        return Group(
            Text(self.status_line(), style="bold"),
            *self.status().lines(bar_width=max(10, min(40, width - 20))),
            *self._curves(width, max(_MIN_CURVES, (height - _NON_CURVE_LINES) // 2)),
            *self._rungs(),
        )

    def _curves(self, width: int, rows: int) -> Iterator[Text]:
        """Yield the learning curves of running and of the best trials, on a common scale."""
        trained = [record for record in self.ranked if record.has_result]
        running = sorted(
            (record for record in trained if record.status == "running"),
            key=lambda record: record.trial_id,
        )
        active = "running" if self.running else "unfinished"
        groups = {
            active: running[: min(rows, _MAX_RUNNING_CURVES)],
            "best": trained[: min(rows, _MAX_BEST_CURVES)],
        }
        objective = self.search.config.objective
        values = [
            objective.score_of(m) for group in groups.values() for r in group for m in r.epochs
        ]
        if not values:
            return
        low, high = min(values), max(values)
        yield Text(f"{objective.score} by epoch, from {low:.1%} to {high:.1%}:", style="dim")
        for title, group in groups.items():
            for record in group:
                yield self._curve(record, title, width, low, high)
        if hidden := len(running) - len(groups[active]):
            yield Text(f"… and {hidden} more {active}", style="dim")

    def _curve(self, record: TrialRecord, title: str, width: int, low: float, high: float) -> Text:
        total = self.search.config.budget.max_epochs
        scores = [self.search.config.objective.score_of(metrics) for metrics in record.epochs]
        last = record.epochs[-1]
        left = f"{title:<10} {record.trial_id} "
        right = f" {scores[-1]:7.2%} {last.epoch:>{len(str(total))}}/{total}"
        cells = max(4, min(40, total, width - len(left) - len(right)))
        curve = sparkline(scores, low, high, cells, total)
        text = Text(left, no_wrap=True, overflow="ellipsis")
        return text.append(f"{curve:<{cells}}", "cyan").append(right)

    def _rungs(self) -> Iterator[Text]:
        search_config = self.search.config
        if not search_config.scheduler.has_rungs:
            return
        format_cutoff = search_config.objective.format
        for rung, decisions in _group_by_rung(self.search.journal.decisions):
            stopped = sum(decision.verdict.action != "continue" for decision in decisions)
            cutoff = decisions[-1].verdict.cutoff
            cutoff_text = "no cutoff yet" if cutoff is None else f"cutoff {format_cutoff(cutoff)}"
            trials = pluralize(len(decisions), "trial")
            yield Text(
                f"rung at epoch {rung:g}: {trials}, {stopped} paused or stopped, {cutoff_text}"
            )


def watch(watched_search: WatchedSearch, console: Console, interval_s: float) -> None:
    """Display a search until it ends.

    Args:
        watched_search: the search.
        console: output; a live block if it is a terminal that can move the cursor, else lines.
        interval_s: seconds between two refreshes.

    Raises:
        ResultsError: a file of the search is damaged.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        _watch_live(watched_search, console, interval_s)
    else:
        _watch_plain(watched_search, console, interval_s)


def print_status(watched_search: WatchedSearch, console: Console) -> None:
    """Print the current status of a search."""
    console.print(watched_search.render(console.width, console.height))


def _watch_live(watched_search: WatchedSearch, console: Console, interval_s: float) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(watched_search.render(console.width, console.height), refresh=True)
            if watched_search.is_finished:
                return
            time.sleep(interval_s)
            watched_search.refresh()


def _watch_plain(watched_search: WatchedSearch, console: Console, interval_s: float) -> None:
    def print_line(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    objective = watched_search.search.config.objective
    print_line(watched_search.status_line())
    print_line(watched_search.status().progress_line)
    reported = {record.trial_id for record in watched_search.ended_trials}
    last_printed = time.monotonic()
    finished = watched_search.is_finished
    while not finished:
        time.sleep(interval_s)
        watched_search.refresh()
        finished = watched_search.is_finished
        newly_finished = [
            record for record in watched_search.ended_trials if record.trial_id not in reported
        ]
        reported |= {record.trial_id for record in newly_finished}
        for record in newly_finished:
            print_line(f"trial {record.trial_id} {describe_outcome(record, objective)}")
        if finished or newly_finished or time.monotonic() - last_printed > _HEARTBEAT_INTERVAL_S:
            last_printed = time.monotonic()
            print_line(f"  {watched_search.status().progress_line}")
        if finished:
            print_line(watched_search.status_line())
    print_line(watched_search.status().best_line)


def _group_by_rung(decisions: Sequence[Decision]) -> list[tuple[float, list[Decision]]]:
    rungs: dict[float, list[Decision]] = {}
    for decision in decisions:
        rungs.setdefault(decision.verdict.rung, []).append(decision)
    return sorted(rungs.items())
