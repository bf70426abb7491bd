"""A search played by a script, and its trackers as `dispatch` calls them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handsigns.data.splits import DataInfo
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Placement, Session
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.registry import make_tracker
from handsigns.tracking.worker import hand_on
from tests.support.records import make_spec

HERE = Placement("laptop/1", "cpu", 1)
BAD = "ValueError: no good\nTraceback"


class Played:
    """A search in two sessions, the first of which was killed."""

    def __init__(self, root: Path, study, epoch_of) -> None:
        self.paths = SearchPaths(root / "played")
        self.paths.root.mkdir()
        info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4)})
        self.search = TrackedSearch(self.paths, study, info)
        self.epoch_of = epoch_of
        self.journal = Journal(self.paths.journal, writable=True)

    def begin(self, trial_id: str, epochs: int = 0) -> None:
        number = int(trial_id)
        params = {"learning_rate": 1e-3 * (number + 1), "dropout": 0.25, "batch_size": 8}
        self.journal.start(make_spec(trial_id, params, study_seed=self.search.study.seed))
        self.train(trial_id, *range(1, epochs + 1))

    def train(self, trial_id: str, *epochs: int) -> None:
        for epoch in epochs:
            loss = 1 / 3 / epoch + int(trial_id)
            self.journal.report(trial_id, self.epoch_of(epoch, loss), HERE)

    def first_session(self) -> None:
        self.journal.open_session(Session("f" * 32, {}))
        for number, (epochs, status) in enumerate(
            [(3, "completed"), (1, "stopped"), (1, "diverged"), (0, "failed"), (2, None)]
        ):
            self.begin(f"{number:04d}", epochs)
            if status is not None:
                self.journal.end(f"{number:04d}", status, BAD if status == "failed" else "")

    def second_session(self) -> None:
        self.journal.open_session(Session("f" * 32, {}))
        self.journal.resume("0004")
        self.train("0004", 3)
        self.journal.end("0004", "completed")
        self.begin("0005", 1)

    def start_over(self) -> None:
        """The unfinished trial is trained on other data."""
        self.journal.open_session(Session("0" * 32, {}))
        self.journal.start_over("0004")
        self.journal.resume("0004")
        self.journal.report("0004", self.epoch_of(1, 7.0, 0.75), HERE)

    def hand_to(self, tool: str, *, killed: bool = False) -> None:
        """What a tracker is called with in a session of its own, or in one that is killed."""
        tracker = make_tracker(tool, self.search)
        records = self.journal.records
        tracker.open(records)
        hand_on(tracker, records)
        if not killed:
            tracker.close(records)

    def renamed(self, name: str) -> Played:
        """A copy of its folder."""
        other = object.__new__(Played)
        other.paths = SearchPaths(self.paths.root.with_name(name))
        shutil.copytree(self.paths.root, other.paths.root)
        other.search = TrackedSearch(other.paths, self.search.study, self.search.data)
        other.journal, other.epoch_of = self.journal, self.epoch_of
        return other


@pytest.fixture
def make_played(tmp_path, make_study, epoch_of) -> Callable[..., Played]:
    def make(**sections) -> Played:
        space = {
            "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
            "dropout": 0.25,
            "batch_size": {"type": "choice", "values": [8, 16]},
        }
        return Played(tmp_path, make_study(space, budget={"max_epochs": 3}, **sections), epoch_of)

    return make


@pytest.fixture
def played(make_played) -> Played:
    return make_played()
