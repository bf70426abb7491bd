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
from handsigns.console.format import counted
from handsigns.console.sanitize import printable
from handsigns.console.wrap import width_of, wrapped
from handsigns.monitor.status import SearchStatus, outcome
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.trial import Status, TrialRecord, rank_key

if TYPE_CHECKING:
    from handsigns.console.notebook import NotebookBlock

_HEARTBEAT_SECONDS = 30.0
_REFRESH_PER_SECOND = 4


class Display(Observer):
    """Watches a search and shows it.

    Args:
        terminal: where to; a live block if it is a terminal, else a line per event. In a notebook
            a live block is shown in the cell instead.
        study: the search, resolved.
        journal: its trials.
        stopping: its time left.
    """

    def __init__(
        self, terminal: TextIO, study: StudyConfig, journal: Journal, stopping: StoppingCriteria
    ) -> None:
        self._console = Console(file=terminal, highlight=False, soft_wrap=not terminal.isatty())
        self._study = study
        self._journal = journal
        self._stopping = stopping
        self._live: Live | NotebookBlock | None = None
        self._last_line = time.monotonic()
        self._ended: Counter[Status] = Counter()
        self._ended_epochs = 0
        self._best_ended: TrialRecord | None = None
        for record in journal.records:
            if record.ended:
                self._count(record)
        self._ended_before = sum(self._ended.values())
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

    def say(self, message: str, width: int | None = None) -> None:
        """A line above the block, wrapped at words.

        Args:
            width: of the terminal; None: as it is now, and no limit where there is no terminal.
        """
        width = width or width_of(self._console.file)
        self._console.print(Text(wrapped(message, width)), soft_wrap=width is not None or None)
        self._last_line = time.monotonic()

    def on_epoch(self, record: TrialRecord) -> None:
        """Show a finished epoch."""
        if self._best is None or self._key(record) < self._key(self._best):
            self._best = record
        elif self._best.trial_id == record.trial_id:
            self._best = min(self._journal.records, key=self._key)
        if self._live is None and time.monotonic() - self._last_line > _HEARTBEAT_SECONDS:
            self.say("  " + self._status().progress_line)
        self._refresh()

    def on_note(self, trial_id: str, note: str) -> None:
        """Show something that a trial met."""
        self.say(f"trial {trial_id}: {printable(note)}")

    def on_worker_lost(self, record: TrialRecord) -> None:
        """Show that a trial lost its process."""
        lost, goes_on = (
            f"after {counted(len(record.epochs), 'epoch')}",
            "goes on from its checkpoint",
        )
        if record.lost == "node":
            self.say(f"trial {record.trial_id} lost its node {lost}; it {goes_on} on another")
            return
        times = f"{record.retries} of {counted(self._study.faults.retries, 'time')}"
        self.say(f"trial {record.trial_id} lost its process {lost}; it {goes_on} ({times})")

    def on_trial_end(self, record: TrialRecord) -> None:
        """Show how a trial ended."""
        self._count(record)
        if self._live is None:
            self.say(f"trial {record.trial_id} {outcome(record)}; {self._status().progress_line}")
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
        before = self._best_ended
        if record.has_result and (before is None or self._key(record) < self._key(before)):
            self._best_ended = record

    def _status(self) -> SearchStatus:
        return SearchStatus(
            self._study,
            trials=len(self._journal),
            ended=self._ended,
            epochs=sum(len(record.epochs) for record in self._journal.records),
            ended_epochs=self._ended_epochs,
            best=self._best,
            elapsed=self._stopping.session_seconds,
            remaining=self._stopping.seconds_left,
            best_ended=self._best_ended,
            before=self._stopping.elapsed_before,
            ended_before=self._ended_before,
        )

    def _block(self) -> Group:
        status, total = self._status(), self._study.budget.trials
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=total, completed=status.done, width=30),
            Text(f"{status.done}/{counted(total, 'trial')}"),
        )
        return Group(
            bar,
            Text(status.counts),
            Text(status.best_line, style="bold"),
            Text(f"{status.savings} · {status.time}", style="dim"),
        )
