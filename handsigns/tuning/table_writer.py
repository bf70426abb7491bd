"""Observer that keeps the tables of a running search up to date."""

from __future__ import annotations

from handsigns.config.sections import Objective
from handsigns.io.throttle import Throttle
from handsigns.results.frames import write_parquet
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.paths import SearchPaths
from handsigns.results.tables import write_tables
from handsigns.results.trial import TrialRecord


class TableWriter(Observer):
    """Writer of the tables: as trials end, at most every ten seconds, and after the session."""

    def __init__(self, paths: SearchPaths, journal: Journal, objective: Objective) -> None:
        self._paths = paths
        self._journal = journal
        self._objective = objective
        self._throttle = Throttle(min_interval_s=10.0, max_time_share=0.02)
        self._finished = False

    def on_trial_end(self, record: TrialRecord) -> None:
        """Write the CSV tables unless they were just written."""
        if self._throttle.due:
            with self._throttle.measure():
                write_tables(self._paths, self._journal, self._objective)

    def finish(self) -> None:
        """Write all tables, once, at the end of the session."""
        if not self._finished:
            write_tables(self._paths, self._journal, self._objective)
            write_parquet(self._paths, self._journal)
            self._finished = True
