"""Display of running trials: a live block in terminals and notebooks, else plain lines."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from handsigns.config.search import SearchConfig
from handsigns.console.format import pluralize
from handsigns.console.sanitize import printable
from handsigns.console.wrap import terminal_width, wrap_text
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.trial import TrialRecord

if TYPE_CHECKING:
    from handsigns.console.notebook import NotebookDisplay

_HEARTBEAT_INTERVAL_S = 30.0
_REFRESH_PER_SECOND = 4


class TrialDisplay(Observer, abc.ABC):
    """Observer that displays the progress of trials; subclasses define what is shown.

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

    @property
    @abc.abstractmethod
    def progress_line(self) -> str:
        """Progress on one line, for output that is not a terminal."""

    @abc.abstractmethod
    def render(self) -> Group:
        """Return the content of the live block."""

    @abc.abstractmethod
    def describe_end(self, record: TrialRecord) -> str:
        """Return how a trial ended, or that it has paused."""

    @contextmanager
    def live_view(self) -> Iterator[None]:
        """Display the trials within the context."""
        if self._console.is_jupyter:
            from handsigns.console.notebook import NotebookDisplay

            self._live = block = NotebookDisplay(self.render)
            yield
            block.show()
            return
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            yield
            return
        with Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as self._live:
            yield

    def print_message(self, message: str) -> None:
        """Print a line above the block, wrapped at words to the width of a terminal."""
        width = terminal_width(self._console.file)
        self._console.print(Text(wrap_text(message, width)), soft_wrap=width is not None or None)
        self._last_printed_at = time.monotonic()

    def on_epoch(self, record: TrialRecord) -> None:
        """Display a finished epoch."""
        since_printed = time.monotonic() - self._last_printed_at
        if self._live is None and since_printed > _HEARTBEAT_INTERVAL_S:
            self.print_message("  " + self.progress_line)
        self._refresh()

    def on_trial_pause(self, record: TrialRecord) -> None:
        """Print that a trial has paused."""
        self._show_outcome(record)

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
        self._show_outcome(record)

    def _show_outcome(self, record: TrialRecord) -> None:
        if self._live is None:
            self.print_message(f"{self.describe_end(record)}; {self.progress_line}")
        self._refresh()

    def _refresh(self) -> None:
        """Refresh the block of a notebook; a terminal's refreshes itself."""
        if self._live is not None and not isinstance(self._live, Live):
            self._live.refresh()


DisplayFactory = Callable[[TextIO, SearchConfig, Journal, StoppingCriteria], TrialDisplay]
"""Factory of a display; see the arguments of `TrialDisplay`."""
