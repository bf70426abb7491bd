"""Progress display of a search: a live block in terminals and notebooks, else plain lines."""

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

from handsigns.config.search import SearchConfig
from handsigns.console.format import pluralize
from handsigns.console.sanitize import printable
from handsigns.console.wrap import terminal_width, wrap_text
from handsigns.monitor.status import SearchStatus, describe_outcome
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.trial import Status, TrialRecord, rank_key

if TYPE_CHECKING:
    from handsigns.console.notebook import NotebookDisplay

_HEARTBEAT_INTERVAL_S = 30.0
_REFRESH_PER_SECOND = 4


class SearchDisplay(Observer):
    """Observer that displays the progress of a search.

    Args:
        terminal: output stream; a live block if it is a terminal, else a line per event. In a
            notebook a live block is shown in the cell instead.
        search_config: resolved configuration of the search.
        journal: source of the trials.
        stopping: source of the elapsed and remaining time.
    """

    def __init__(
        self,
        terminal: TextIO,
        search_config: SearchConfig,
        journal: Journal,
        stopping: StoppingCriteria,
    ) -> None:
        self._console = Console(file=terminal, highlight=False, soft_wrap=not terminal.isatty())
        self._config = search_config
        self._journal = journal
        self._stopping = stopping
        self._live: Live | NotebookDisplay | None = None
        self._last_printed_at = time.monotonic()
        self._status_counts: Counter[Status] = Counter()
        self._terminal_epochs = 0
        self._best_terminal: TrialRecord | None = None
        for record in journal.records:
            if record.is_terminal:
                self._add_finished(record)
        self._num_finished_before = sum(self._status_counts.values())
        self._best = min(journal.records, key=self._rank_key, default=None)

    @contextmanager
    def live_view(self) -> Iterator[None]:
        """Display the search within the context."""
        if self._console.is_jupyter:
            from handsigns.console.notebook import NotebookDisplay

            self._live = block = NotebookDisplay(self._render)
            yield
            block.show()
            return
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as self._live:
            yield

    def print_message(self, message: str, width: int | None = None) -> None:
        """Print a line above the block, wrapped at words.

        Args:
            message: the text.
            width: width of the terminal; None: its current width, no limit without a terminal.
        """
        width = width or terminal_width(self._console.file)
        self._console.print(Text(wrap_text(message, width)), soft_wrap=width is not None or None)
        self._last_printed_at = time.monotonic()

    def on_epoch(self, record: TrialRecord) -> None:
        """Display a finished epoch."""
        if self._best is None or self._rank_key(record) < self._rank_key(self._best):
            self._best = record
        elif self._best.trial_id == record.trial_id:
            self._best = min(self._journal.records, key=self._rank_key)
        if self._live is None and time.monotonic() - self._last_printed_at > _HEARTBEAT_INTERVAL_S:
            self.print_message("  " + self._status().progress_line)
        self._refresh()

    def on_note(self, trial_id: str, note: str) -> None:
        """Print a note on a trial."""
        self.print_message(f"trial {trial_id}: {printable(note)}")

    def on_worker_lost(self, record: TrialRecord) -> None:
        """Print that a trial lost its process or node, and that it is retried."""
        if record.loss_scope == "node":
            lost, retry = "node", " on another node"
        else:
            max_retries = self._config.fault_tolerance.max_retries
            lost, retry = "process", f" (retry {record.retries} of {max_retries})"
        self.print_message(
            f"trial {record.trial_id} lost its {lost} after "
            f"{pluralize(len(record.epochs), 'epoch')}; it resumes from its checkpoint{retry}"
        )

    def on_trial_end(self, record: TrialRecord) -> None:
        """Print how a trial ended."""
        self._add_finished(record)
        if self._live is None:
            outcome = describe_outcome(record)
            self.print_message(f"trial {record.trial_id} {outcome}; {self._status().progress_line}")
        self._refresh()

    def _refresh(self) -> None:
        """Refresh the block of a notebook; a terminal's refreshes itself."""
        if self._live is not None and not isinstance(self._live, Live):
            self._live.refresh()

    def _rank_key(self, record: TrialRecord) -> tuple[int, float, float, str]:
        return rank_key(record, self._config.objective)

    def _add_finished(self, record: TrialRecord) -> None:
        self._status_counts[record.status] += 1
        self._terminal_epochs += len(record.epochs)
        before = self._best_terminal
        if record.has_result and (
            before is None or self._rank_key(record) < self._rank_key(before)
        ):
            self._best_terminal = record

    def _status(self) -> SearchStatus:
        return SearchStatus(
            self._config,
            num_trials=len(self._journal),
            status_counts=self._status_counts,
            num_epochs=sum(len(record.epochs) for record in self._journal.records),
            terminal_epochs=self._terminal_epochs,
            best=self._best,
            elapsed=self._stopping.session_seconds,
            remaining=self._stopping.remaining_seconds,
            best_terminal=self._best_terminal,
            elapsed_before=self._stopping.previous_elapsed,
            num_ended_before_session=self._num_finished_before,
        )

    def _render(self) -> Group:
        status, total = self._status(), self._config.budget.trials
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=total, completed=status.num_finished, width=30),
            Text(f"{status.num_finished}/{pluralize(total, 'trial')}"),
        )
        return Group(
            bar,
            Text(status.counts_line),
            Text(status.best_line, style="bold"),
            Text(f"{status.epochs_line} · {status.time_line}", style="dim"),
        )
