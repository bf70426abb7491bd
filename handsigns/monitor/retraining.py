"""Progress display of a retraining: epochs of all seeds, and the remaining time."""

from __future__ import annotations

from collections import Counter
from typing import TextIO

from rich.console import Group
from rich.text import Text

from handsigns.config.search import SearchConfig
from handsigns.console.format import pluralize
from handsigns.monitor.display import TrialDisplay
from handsigns.monitor.status import STATUS_LABELS, time_text
from handsigns.monitor.text_charts import progress_bar
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.retraining import RetrainingPlan
from handsigns.results.trial import TrialRecord


class RetrainingDisplay(TrialDisplay):
    """Display of a retraining, which has no validation scores; see `TrialDisplay`.

    Args:
        plan: runs of the retraining; the journal may have others.
    """

    def __init__(
        self,
        terminal: TextIO,
        search_config: SearchConfig,
        journal: Journal,
        stopping: StoppingCriteria,
        plan: RetrainingPlan,
    ) -> None:
        super().__init__(terminal, search_config, journal, stopping)
        self._plan = plan
        self._update_runs()

    @property
    def progress_line(self) -> str:
        """See `TrialDisplay`."""
        seeds = f"{self._num_finished}/{pluralize(self._plan.seeds, 'seed')} finished"
        return f"{seeds}, {self._num_epochs}/{self._total} epochs, {self._time_line}"

    def render(self) -> Group:
        """See `TrialDisplay`."""
        return Group(
            progress_bar(self._num_epochs, self._total, "epoch"),
            Text(self._seeds_line),
            Text(self._time_line, style="dim"),
        )

    def describe_end(self, record: TrialRecord) -> str:
        """See `TrialDisplay`."""
        number = self._plan.run_ids.index(record.trial_id) + 1
        outcome = STATUS_LABELS.get(record.status, record.status)
        epochs = pluralize(len(record.epochs), "epoch")
        return f"seed {number} of {self._plan.seeds} {outcome} after {epochs}"

    def on_trial_start(self, record: TrialRecord) -> None:
        """Update the runs."""
        self._update_runs()

    def on_epoch(self, record: TrialRecord) -> None:
        """Display a finished epoch."""
        self._update_runs()
        super().on_epoch(record)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Print how a run ended."""
        self._update_runs()
        super().on_trial_end(record)

    def _update_runs(self) -> None:
        # The live block is rendered in another thread, which must not read the journal.
        self._runs = self._plan.select(self._journal.records)

    @property
    def _total(self) -> int:
        return self._plan.seeds * self._plan.max_epochs

    @property
    def _num_epochs(self) -> int:
        """Number of epochs trained; a run that diverged trains no more."""
        full = self._plan.max_epochs
        return sum(full if r.status == "diverged" else len(r.epochs) for r in self._runs)

    @property
    def _num_finished(self) -> int:
        return sum(map(self._plan.is_trained, self._runs))

    @property
    def _seeds_line(self) -> str:
        status = Counter(run.status for run in self._runs)
        counts = {
            "running": status["running"],
            "finished": self._num_finished,
            "failed": status["failed"],
        }
        parts = [f"{count} {name}" for name, count in counts.items() if count or name == "running"]
        return f"{pluralize(self._plan.seeds, 'seed')}: {', '.join(parts)}"

    @property
    def _time_line(self) -> str:
        """Elapsed time, and an estimate of the remaining time."""
        runs = self._runs
        seconds = [metrics.epoch_seconds for run in runs for metrics in run.epochs]
        running = max(1, sum(run.status == "running" for run in runs))
        mean = sum(seconds) / max(1, len(seconds))
        estimate = mean * (self._total - self._num_epochs) / running
        stopping = self._stopping
        return time_text(stopping.session_seconds, stopping.previous_elapsed, estimate)
