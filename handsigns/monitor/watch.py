"""Watching a search from another process: from its files alone, which are only read.

A live block in a terminal, plain lines elsewhere; either ends when the search does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from handsigns.config.load import load_study
from handsigns.console.format import counted
from handsigns.console.sanitize import printable
from handsigns.monitor.bars import progress_bar, sparkline
from handsigns.monitor.status import SearchStatus, outcome
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch, holder, open_search
from handsigns.results.trial import Decision, TrialRecord

_HEARTBEAT_SECONDS = 30.0
_MOST_RUNNING, _MOST_BEST, _FEWEST = 8, 5, 2
"""Learning curves shown; a low terminal has fewer."""
_OTHER_LINES = 14
"""About how many lines the block has beside the curves."""


class Watched:
    """A search as it stands, looked at again and again.

    Args:
        paths: of a search that was begun.
        now: tells the seconds since the Unix epoch.
    """

    def __init__(self, paths: SearchPaths, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._seen_running = False
        self._open(open_search(paths), holder(paths))

    def _open(self, search: StoredSearch, run_by: str) -> None:
        self.search = search
        self.run_by = run_by
        """Who holds the search, in words; empty where no one does."""
        self.ranked = search.ranked
        self._seen_running |= self.running

    def look(self) -> int:
        """Take in what has happened since; returns how many events that were.

        Raises:
            ResultsError: a file of the search is damaged.
        """
        paths, journal = self.search.paths, self.search.journal
        run_by = holder(paths)  # before the journal, which is then known to be complete
        sessions = len(journal.sessions)
        new = journal.follow()
        study = self.search.study
        if len(journal.sessions) > sessions:
            study = load_study(paths.study)  # a resume may have given it more trials or time
        self.run_by = run_by
        if new:
            self._open(StoredSearch(paths, study, self.search.data, journal), run_by)
        return new

    @property
    def running(self) -> bool:
        """Whether trials are trained, as far as is known."""
        return bool(self.run_by) and not self.search.journal.ended_because

    @property
    def over(self) -> bool:
        """Whether nothing more is to come: no one holds the search; or it ended before our eyes,
        and what its process does now is retraining.
        """
        return not self.run_by or (self._seen_running and not self.running)

    @property
    def ended(self) -> list[TrialRecord]:
        """Trials that came to an end of their own."""
        return [record for record in self.search.journal.records if record.ended]

    def status_line(self) -> str:
        """Whether it runs, or why not."""
        name, journal = self.search.paths.name, self.search.journal
        if self.running:
            return f"{name} is run by {self.run_by}"
        if journal.ended_because:
            text = f"{name} has ended: {printable(journal.ended_because)}"
            return f"{text} (held by {self.run_by})" if self.run_by else text
        return f"{name} was broken off; go on with: {self.search.paths.go_on}"

    def status(self) -> SearchStatus:
        """Return how it stands."""
        journal, budget = self.search.journal, self.search.study.budget
        elapsed = journal.elapsed
        if self.running and journal.updated_at is not None:
            elapsed += max(0.0, self._now() - journal.updated_at)
        ended = self.ended
        limit = budget.time_budget
        best_ended = (record for record in self.ranked if record.ended and record.has_result)
        return SearchStatus(
            self.search.study,
            trials=len(journal),
            ended=Counter(record.status for record in ended),
            epochs=sum(len(record.epochs) for record in journal.records),
            ended_epochs=sum(len(record.epochs) for record in ended),
            best=self.ranked[0] if self.ranked else None,
            elapsed=elapsed - journal.session_start,
            remaining=None if limit is None else max(0.0, limit - elapsed),
            running=bool(self.run_by),
            best_ended=next(best_ended, None),
            before=journal.session_start,
            ended_before=journal.ended_before,
        )

    def block(self, width: int, height: int) -> Group:
        """Everything, in lines of at most `width` columns where they can be cut."""
        status, trials = self.status(), self.search.study.budget.trials
        bar = progress_bar(status.done / trials, max(10, min(40, width - 20)))
        return Group(
            Text(self.status_line(), style="bold"),
            bar.append(f" {status.done}/{counted(trials, 'trial')}"),
            Text(status.counts),
            Text(status.best_line, style="bold"),
            Text(f"{status.savings} · {status.time}", style="dim"),
            *self._curves(width, max(_FEWEST, (height - _OTHER_LINES) // 2)),
            *self._rungs(),
        )

    def _curves(self, width: int, rows: int) -> Iterator[Text]:
        """The learning curves of running trials and of the best, to one scale."""
        trained = [record for record in self.ranked if record.epochs]
        running = sorted(
            (record for record in trained if record.status == "running"),
            key=lambda record: record.trial_id,
        )
        groups = {
            "running" if self.run_by else "unfinished": running[: min(rows, _MOST_RUNNING)],
            "best": trained[: min(rows, _MOST_BEST)],
        }
        values = [m.val_accuracy for group in groups.values() for r in group for m in r.epochs]
        if not values:
            return
        low, high = min(values), max(values)
        yield Text(f"val_accuracy by epoch, from {low:.1%} to {high:.1%}:", style="dim")
        for title, group in groups.items():
            for record in group:
                yield self._curve(record, title, width, low, high)
        if len(running) > len(next(iter(groups.values()))):
            yield Text(f"… and {len(running) - rows} more running", style="dim")

    def _curve(self, record: TrialRecord, title: str, width: int, low: float, high: float) -> Text:
        total = self.search.study.budget.max_epochs
        last = record.epochs[-1]
        left = f"{title:<10} {record.trial_id} "
        right = f" {last.val_accuracy:7.2%} {last.epoch:>{len(str(total))}}/{total}"
        cells = max(4, min(40, total, width - len(left) - len(right)))
        accuracies = [metrics.val_accuracy for metrics in record.epochs]
        curve = sparkline(accuracies, low, high, cells, total)
        text = Text(left, no_wrap=True, overflow="ellipsis")
        return text.append(f"{curve:<{cells}}", "cyan").append(right)

    def _rungs(self) -> Iterator[Text]:
        study = self.search.study
        if study.scheduler.name not in ("asha", "hyperband"):
            return
        for rung, decisions in _by_rung(self.search.journal.decisions):
            stopped = sum(decision.verdict.stop for decision in decisions)
            cutoff = decisions[-1].verdict.cutoff
            words = (
                "no cutoff yet" if cutoff is None else f"cutoff {study.objective.format(cutoff)}"
            )
            trials = counted(len(decisions), "trial")
            yield Text(f"rung at epoch {rung:g}: {trials}, {stopped} stopped, {words}")


def watch(watched: Watched, console: Console, every: float) -> None:
    """Show a search until it ends.

    Args:
        every: seconds between two looks.

    Raises:
        ResultsError: a file of the search is damaged.
    """
    if console.is_terminal:
        _watch_live(watched, console, every)
    else:
        _watch_in_lines(watched, console, every)


def show_once(watched: Watched, console: Console) -> None:
    """Show how a search stands now."""
    console.print(watched.block(console.width, console.height))


def _watch_live(watched: Watched, console: Console, every: float) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(watched.block(console.width, console.height), refresh=True)
            if watched.over:
                return
            time.sleep(every)
            watched.look()


def _watch_in_lines(watched: Watched, console: Console, every: float) -> None:
    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    say(watched.status_line())
    say(watched.status().progress_line)
    told = {record.trial_id for record in watched.ended}
    said = time.monotonic()
    over = watched.over
    while not over:
        time.sleep(every)
        watched.look()
        over = watched.over
        news = [record for record in watched.ended if record.trial_id not in told]
        told |= {record.trial_id for record in news}
        for record in news:
            say(f"trial {record.trial_id} {outcome(record)}")
        if over or news or time.monotonic() - said > _HEARTBEAT_SECONDS:
            said = time.monotonic()
            say(f"  {watched.status().progress_line}")
        if over:
            say(watched.status_line())
    say(watched.status().best_line)


def _by_rung(decisions: Sequence[Decision]) -> list[tuple[float, list[Decision]]]:
    rungs: dict[float, list[Decision]] = {}
    for decision in decisions:
        rungs.setdefault(decision.verdict.rung, []).append(decision)
    return sorted(rungs.items())
