"""The search as it runs: one calm, live block in a terminal or notebook, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from handsigns.config.search import StudyConfig
from handsigns.console.format import format_duration
from handsigns.console.sanitize import printable
from handsigns.monitor.status import best_line, counts_line, outcome
from handsigns.policy.stopping import Ending
from handsigns.results.journal import Journal
from handsigns.results.trial import NODE_DIED, Status, TrialRecord, rank_key

if TYPE_CHECKING:
    from handsigns.console.notebook import NotebookBlock

_HEARTBEAT_SECONDS = 30.0
_REFRESH_PER_SECOND = 4


class Display:
    """Watches a search and shows it.

    Args:
        terminal: where to; a live block if it is a terminal, else a line per event. In a notebook
            a live block is shown in the cell instead.
        study: the search, resolved.
        journal: its trials.
        ending: its time left.
    """

    def __init__(
        self, terminal: TextIO, study: StudyConfig, journal: Journal, ending: Ending
    ) -> None:
        self._console = Console(file=terminal, highlight=False, soft_wrap=not terminal.isatty())
        self._study = study
        self._journal = journal
        self._ending = ending
        self._live: Live | NotebookBlock | None = None
        self._last_line = time.monotonic()
        self._ended: Counter[Status] = Counter()
        self._ended_epochs = 0
        for record in journal.records:
            if record.ended:
                self._count(record)
        self._best = min(journal.records, key=self._key, default=None)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the search for as long as this lasts."""
        if self._console.is_jupyter:
            from handsigns.console.notebook import NotebookBlock

            self._live = block = NotebookBlock(self._block)
            yield
            block.show()
            return
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._block,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as self._live:
            yield

    def say(self, message: str) -> None:
        """A line above the block."""
        self._console.print(Text(message))
        self._last_line = time.monotonic()

    def trained(self, record: TrialRecord) -> None:
        """A trial finished an epoch."""
        if self._best is None or self._key(record) < self._key(self._best):
            self._best = record
        elif self._best.trial_id == record.trial_id:
            self._best = min(self._journal.records, key=self._key)
        if self._live is None and time.monotonic() - self._last_line > _HEARTBEAT_SECONDS:
            self.say("  " + self._progress())
        self._refresh()

    def noted(self, trial_id: str, note: str) -> None:
        """A trial met something that the user should know of."""
        self.say(f"trial {trial_id}: {printable(note)}")

    def lost(self, record: TrialRecord) -> None:
        """A trial's process died; it will go on in another."""
        lost, goes_on = f"after {len(record.epochs)} epochs", "goes on from its checkpoint"
        if record.error.startswith(NODE_DIED):
            self.say(f"trial {record.trial_id} lost its node {lost}; it {goes_on} on another")
            return
        times = f"{record.retries} of {self._study.faults.retries} times"
        self.say(f"trial {record.trial_id} lost its process {lost}; it {goes_on} ({times})")

    def ended(self, record: TrialRecord) -> None:
        """A trial came to its end."""
        self._count(record)
        if self._live is None:
            self.say(f"trial {record.trial_id} {outcome(record)}; {self._progress()}")
        self._refresh()

    def _refresh(self) -> None:
        """A terminal's block refreshes itself, a notebook's when something has changed."""
        if self._live is not None and not isinstance(self._live, Live):
            self._live.changed()

    def _key(self, record: TrialRecord) -> tuple[int, float, float, str]:
        return rank_key(record, self._study.objective)

    def _count(self, record: TrialRecord) -> None:
        self._ended[record.status] += 1
        self._ended_epochs += len(record.epochs)

    def _counts(self) -> str:
        return counts_line(len(self._journal) - self._ended.total(), self._ended)

    def _saved(self) -> str:
        trained = sum(len(record.epochs) for record in self._journal.records)
        full = self._ended.total() * self._study.budget.max_epochs
        saved = full - self._ended_epochs
        return f"{trained} epochs trained, {saved} saved by early stopping"

    def _time(self) -> str:
        text = f"{format_duration(round(self._ending.session_seconds))} gone"
        left = self._ending.seconds_left
        done = self._ended.total()
        if done:
            rest = self._study.budget.trials - done
            estimate = self._ending.session_seconds / done * rest
            left = estimate if left is None else min(left, estimate)
        return text if left is None else f"{text}, about {format_duration(round(left))} left"

    def _best_line(self) -> str:
        return best_line(self._best, self._study.space.varied)

    def _progress(self) -> str:
        done, total = self._ended.total(), self._study.budget.trials
        best = self._best.last if self._best else None
        score = f", best val_accuracy {best.val_accuracy:.2%}" if best else ""
        return f"{done}/{total} trials ended, {self._counts()}{score}, {self._time()}"

    def _block(self) -> Group:
        done, total = self._ended.total(), self._study.budget.trials
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=total, completed=done, width=30), Text(f"{done}/{total} trials")
        )
        return Group(
            bar,
            Text(self._counts()),
            Text(self._best_line(), style="bold"),
            Text(f"{self._saved()} · {self._time()}", style="dim"),
        )
