"""Typed tables: of the types that docs/results.md promises, as frames and as Parquet."""

import re
from pathlib import Path

import pandas as pd
import pytest

from handsigns.results.frames import (
    decision_frame,
    epoch_frame,
    leaderboard_frame,
    trial_frame,
    write_parquet,
)
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import Placement, Verdict
from tests.support.records import make_spec

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text()


@pytest.fixture
def journal(tmp_path, epoch_of):
    """A trial that was stopped, one that failed before its first epoch, and one that runs."""
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    for trial_id in ("0000", "0001", "0002"):
        journal.start(make_spec(trial_id, {"learning_rate": 0.01, "optimizer": "sgd"}))
    verdict = Verdict(rung=1.0, value=0.5, cutoff=None, earlier=0, stop=True)
    journal.report("0000", epoch_of(1, 0.5), Placement("laptop/1", "cpu", 2), verdict)
    journal.end("0000", "stopped")
    journal.end("0001", "failed", "Traceback\nValueError: no")
    yield journal
    journal.close()


def promised(table: str) -> dict[str, str]:
    """Columns and types of a table in docs/results.md."""
    section = PAGE.split(f"\n## {table}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE))


def types(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.mark.parametrize("empty", [False, True])
def test_the_page_lists_exactly_the_columns_there_are(journal, make_study, empty, tmp_path):
    if empty:
        journal = Journal(tmp_path / "none.jsonl")
    assert types(trial_frame(journal)) == promised("trials")
    assert types(epoch_frame(journal)) == promised("epochs")
    assert types(decision_frame(journal)) == promised("decisions")
    leaderboard = types(leaderboard_frame(journal, make_study().objective))
    assert leaderboard.pop("rank") == "Int64"
    trials = list(promised("trials").items())
    assert list(leaderboard.items()) == trials[: list(dict(trials)).index("color_jitter") + 1]


def test_what_is_missing_is_missing(journal):
    frame = trial_frame(journal).set_index("trial_id")
    assert frame.threads.isna().to_dict() == {"0000": False, "0001": True, "0002": True}
    assert frame.val_loss.isna().sum() == 2
    assert frame.ended_at.isna().to_dict() == {"0000": False, "0001": False, "0002": True}
    assert frame.started_at.dt.tz is not None
    assert frame.status.to_dict() == {"0000": "stopped", "0001": "failed", "0002": "running"}
    assert frame.error["0001"] == "ValueError: no"
    assert frame.optimizer.tolist() == ["sgd"] * 3
    decisions = decision_frame(journal)
    assert decisions.cutoff.isna().all()
    assert decisions.decision.tolist() == ["stop"]


def test_parquet_gives_back_what_was_written(journal, tmp_path):
    paths = SearchPaths(tmp_path)
    paths.typed_trials.write_text("an earlier state")
    write_parquet(paths, journal)
    pd.testing.assert_frame_equal(pd.read_parquet(paths.typed_trials), trial_frame(journal))
    pd.testing.assert_frame_equal(pd.read_parquet(paths.typed_epochs), epoch_frame(journal))
    assert not list(tmp_path.glob(".*.tmp"))
