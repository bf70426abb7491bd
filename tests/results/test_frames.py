"""Typed tables as data frames and Parquet, with the dtypes of docs/reference/result-files.md."""

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

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "result-files.md").read_text()


@pytest.fixture
def journal(tmp_path, make_epoch_metrics):
    """Return a journal with a stopped, a failed (before its first epoch) and a running trial."""
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    for trial_id in ("0000", "0001", "0002"):
        journal.start_trial(make_spec(trial_id, {"learning_rate": 0.01, "optimizer": "sgd"}))
    verdict = Verdict(rung=1.0, value=0.5, cutoff=None, num_compared=0, action="stop")
    journal.report_epoch(
        "0000", make_epoch_metrics(1, 0.5), Placement("laptop/1", "cpu", 2), verdict
    )
    journal.end_trial("0000", "stopped")
    journal.end_trial("0001", "failed", "Traceback\nValueError: no")
    yield journal
    journal.close()


def documented(table: str) -> dict[str, str]:
    """Return the columns and dtypes of a table in docs/reference/result-files.md."""
    section = PAGE.split(f"\n## {table}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE))


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.mark.parametrize("empty", [False, True])
def test_documentation_lists_all_columns_with_their_dtypes(
    journal, make_search_config, empty, tmp_path
):
    if empty:
        journal = Journal(tmp_path / "none.jsonl")
    assert dtypes(trial_frame(journal)) == documented("trials")
    assert dtypes(epoch_frame(journal)) == documented("epochs")
    assert dtypes(decision_frame(journal)) == documented("decisions")
    leaderboard = dtypes(leaderboard_frame(journal, make_search_config().objective))
    assert leaderboard.pop("rank") == "Int64"
    trials = list(documented("trials").items())
    assert list(leaderboard.items()) == trials[: list(dict(trials)).index("color_jitter") + 1]


def test_missing_values_are_null(journal):
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


def test_parquet_round_trip(journal, tmp_path):
    paths = SearchPaths(tmp_path)
    paths.trials_parquet.write_text("stale")
    write_parquet(paths, journal)
    pd.testing.assert_frame_equal(pd.read_parquet(paths.trials_parquet), trial_frame(journal))
    pd.testing.assert_frame_equal(pd.read_parquet(paths.epochs_parquet), epoch_frame(journal))
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("values", "stored"),
    [(("none", 0.5), ["none", "0.5"]), ((1, "auto"), ["1", "auto"]), ((1, 2), [1, 2])],
)
def test_custom_values_of_mixed_types_become_strings(tmp_path, values, stored):
    paths = SearchPaths(tmp_path)
    journal = Journal(paths.journal, writable=True)
    for number, value in enumerate(values):
        journal.start_trial(make_spec(f"{number:04d}", {"custom.clip": value}))
    journal.close()
    write_parquet(paths, journal)
    assert pd.read_parquet(paths.trials_parquet)["custom.clip"].tolist() == stored
