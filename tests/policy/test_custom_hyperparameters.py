"""Tests of custom hyperparameters in sampler, tables and warm starts; no user code is run."""

import csv
import io
from types import SimpleNamespace

from handsigns.config.hyperparameters import TrialConfig
from handsigns.policy.sampler import Sampler
from handsigns.results.environment import code_changes
from handsigns.results.frames import trial_frame
from handsigns.results.tables import leaderboard_table, trial_table
from handsigns.results.warm_start import make_warm_start

SPACE = {
    "architecture": {"type": "choice", "values": ["compact", "mine:net"]},
    "custom": {
        "depth": {"type": "integer", "low": 1, "high": 4, "when": {"architecture": "mine:net"}},
        "kind": {"type": "choice", "values": ["a", "b"]},
    },
}


def test_custom_hyperparameters_are_sampled_where_active(make_search_config):
    sampler = Sampler(make_search_config(SPACE, searcher={"name": "random"}))
    sampled = [spec.params for _ in range(8) if (spec := sampler.suggest())]
    assert {params["architecture"] for params in sampled} == {"compact", "mine:net"}
    for params in sampled:
        assert ("custom.depth" in params) == (params["architecture"] == "mine:net")
        assert params["custom.kind"] in ("a", "b")


def test_a_small_custom_space_is_tried_without_duplicates(make_search_config):
    space = {
        "architecture": "mine:net",
        "custom": {"kind": {"type": "choice", "values": ["a", "b"]}},
    }
    sampler = Sampler(make_search_config(space))
    assert [bool(sampler.suggest()) for _ in range(3)] == [True, True, False]


def test_tables_have_a_column_per_custom_hyperparameter(make_search_config, make_record):
    config = make_search_config(SPACE)
    params = {"architecture": "mine:net", "custom.depth": 3, "custom.kind": "=1+1"}
    records = [
        make_record("0000", params=params),
        make_record("0001", [0.7], params={"custom.kind": "a"}),
        make_record("0002", [0.8]),
    ]
    leaderboard = leaderboard_table(records, config.objective)
    assert leaderboard.names[-2:] == ("custom.depth", "custom.kind")
    assert [row["custom.depth"] for row in leaderboard.rows()] == [3, None, None]
    table = trial_table(records)
    assert [row["custom.kind"] for row in table.rows()] == ["=1+1", "a", None]
    csv_rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["custom.depth"] for row in csv_rows] == ["3", "", ""]
    assert [row["custom.kind"] for row in csv_rows] == ["'=1+1", "a", ""], "no formula"
    frame = trial_frame(SimpleNamespace(records=records))
    assert (str(frame["custom.depth"].dtype), str(frame["custom.kind"].dtype)) == (
        "Int64",
        "string",
    )
    without_custom = leaderboard_table(records[2:], config.objective)
    assert not [name for name in without_custom.names if name.startswith("custom")]


def test_warm_starts_handle_custom_hyperparameters(make_search_config, make_record):
    config = make_search_config(SPACE)
    inside = {"architecture": "mine:net", "custom.depth": 3, "custom.kind": "b"}
    records = [
        make_record("0000", params=inside),
        make_record("0001", [0.7], params={**inside, "custom.depth": 9}),
        make_record("0002", [0.8], params={"architecture": "compact"}),
    ]
    warm_start = make_warm_start(config, "f00d", config, "f00d", records, "earlier")
    assert [trial.params for trial in warm_start.prior_trials] == [inside]
    assert warm_start.enqueued_params[:2] == (inside, {**inside, "custom.depth": 4})
    assert TrialConfig.from_params(warm_start.enqueued_params[2]).custom == {"kind": "a"}


def test_changed_user_modules_are_reported():
    old, new = ({"user_code": {"mine": {"digest": digit * 32, "file": "x"}}} for digit in "ab")
    assert code_changes(old, new) == [f"your mine was {'a' * 12}, now {'b' * 12}"]
    assert code_changes(old, old) == []
    assert code_changes(old, {}) == [], "no user code is run now"
