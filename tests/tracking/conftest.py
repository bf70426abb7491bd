"""A scripted search, and its trackers, called as `tracking.background` calls them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handsigns.data.splits import DataInfo
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Placement, Session
from handsigns.tracking.background import update_tracker
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.registry import make_tracker
from tests.support.records import make_spec

PLACEMENT = Placement("laptop/1", "cpu", 1)
ERROR = "ValueError: no good\nTraceback"


class ScriptedSearch:
    """Scripted search of two sessions, the first of which was killed."""

    def __init__(self, root: Path, config, make_epoch_metrics) -> None:
        self.paths = SearchPaths(root / "scripted")
        self.paths.root.mkdir()
        info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4)})
        self.search = TrackedSearch(self.paths, config, info)
        self.make_epoch_metrics = make_epoch_metrics
        self.journal = Journal(self.paths.journal, writable=True)

    def start_trial(self, trial_id: str, epochs: int = 0) -> None:
        number = int(trial_id)
        params = {"learning_rate": 1e-3 * (number + 1), "dropout": 0.25, "batch_size": 8}
        self.journal.start_trial(make_spec(trial_id, params, search_seed=self.search.config.seed))
        self.train(trial_id, *range(1, epochs + 1))

    def train(self, trial_id: str, *epochs: int) -> None:
        for epoch in epochs:
            loss = 1 / 3 / epoch + int(trial_id)
            self.journal.report_epoch(trial_id, self.make_epoch_metrics(epoch, loss), PLACEMENT)

    def first_session(self) -> None:
        self.journal.start_session(Session("f" * 32, {}))
        for number, (epochs, status) in enumerate(
            [(3, "completed"), (1, "stopped"), (1, "diverged"), (0, "failed"), (2, None)]
        ):
            self.start_trial(f"{number:04d}", epochs)
            if status is not None:
                self.journal.end_trial(f"{number:04d}", status, ERROR if status == "failed" else "")

    def second_session(self) -> None:
        self.journal.start_session(Session("f" * 32, {}))
        self.journal.resume_trial("0004")
        self.train("0004", 3)
        self.journal.end_trial("0004", "completed")
        self.start_trial("0005", 1)

    def restart_on_other_data(self) -> None:
        """Restart the unfinished trial on other data."""
        self.journal.start_session(Session("0" * 32, {}))
        self.journal.reset_trial("0004")
        self.journal.resume_trial("0004")
        self.journal.report_epoch("0004", self.make_epoch_metrics(1, 7.0, 0.75), PLACEMENT)

    def export_to(self, tool: str, *, killed: bool = False) -> None:
        """Call a tracker as a complete session does, or one that is killed."""
        tracker = make_tracker(tool, self.search)
        records = self.journal.records
        tracker.open(records)
        update_tracker(tracker, records)
        if not killed:
            tracker.close(records)

    def copy(self, name: str) -> ScriptedSearch:
        """Copy the search's folder to a new name."""
        other = object.__new__(ScriptedSearch)
        other.paths = SearchPaths(self.paths.root.with_name(name))
        shutil.copytree(self.paths.root, other.paths.root)
        other.search = TrackedSearch(other.paths, self.search.config, self.search.data)
        other.journal, other.make_epoch_metrics = self.journal, self.make_epoch_metrics
        return other


@pytest.fixture
def make_scripted(
    tmp_path, make_search_config, make_epoch_metrics
) -> Callable[..., ScriptedSearch]:
    def make(**sections) -> ScriptedSearch:
        space = {
            "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
            "dropout": 0.25,
            "batch_size": {"type": "choice", "values": [8, 16]},
        }
        return ScriptedSearch(
            tmp_path,
            make_search_config(space, budget={"max_epochs": 3}, **sections),
            make_epoch_metrics,
        )

    return make


@pytest.fixture
def scripted(make_scripted) -> ScriptedSearch:
    return make_scripted()
