"""A user's own hyperparameters in sampler, tables and warm starts; nothing of theirs is run."""

import csv
import io
from types import SimpleNamespace

from handsigns.config.hyperparameters import TrialConfig
from handsigns.policy.sampler import Sampler
from handsigns.results.environment import changed_code
from handsigns.results.frames import trial_frame
from handsigns.results.tables import leaderboard_table, trial_table
from handsigns.results.warm_start import make_warm_start

SPACE = {
    "architecture": {"type": "choice", "values": ["compact", "mine:net"]},
    "own": {
        "depth": {"type": "integer", "low": 1, "high": 4, "when": {"architecture": "mine:net"}},
        "kind": {"type": "choice", "values": ["a", "b"]},
    },
}


def test_they_are_drawn_where_they_apply(make_study):
    sampler = Sampler(make_study(SPACE, searcher={"name": "random"}))
    drawn = [chosen.params for _ in range(8) if (chosen := sampler.suggest())]
    assert {params["architecture"] for params in drawn} == {"compact", "mine:net"}
    for params in drawn:
        assert ("own.depth" in params) == (params["architecture"] == "mine:net")
        assert params["own.kind"] in ("a", "b")


def test_a_small_space_of_them_is_tried_once_each(make_study):
    space = {"architecture": "mine:net", "own": {"kind": {"type": "choice", "values": ["a", "b"]}}}
    sampler = Sampler(make_study(space))
    assert [bool(sampler.suggest()) for _ in range(3)] == [True, True, False]


def test_tables_have_a_column_for_each(make_study, make_record):
    study = make_study(SPACE)
    params = {"architecture": "mine:net", "own.depth": 3, "own.kind": "=1+1"}
    records = [
        make_record("0000", params=params),
        make_record("0001", [0.7], params={"own.kind": "a"}),
        make_record("0002", [0.8]),
    ]
    board = leaderboard_table(records, study.objective)
    assert board.names[-2:] == ("own.depth", "own.kind")
    assert [row["own.depth"] for row in board.rows()] == [3, None, None]
    table = trial_table(records)
    assert [row["own.kind"] for row in table.rows()] == ["'=1+1", "a", None], "no formula"
    again = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["own.depth"] for row in again] == ["3", "", ""]
    frame = trial_frame(SimpleNamespace(records=records))
    assert (str(frame["own.depth"].dtype), str(frame["own.kind"].dtype)) == ("Int64", "string")
    plain = leaderboard_table(records[2:], study.objective)
    assert not [name for name in plain.names if name.startswith("own")]


def test_a_warm_start_knows_them(make_study, make_record):
    study = make_study(SPACE)
    inside = {"architecture": "mine:net", "own.depth": 3, "own.kind": "b"}
    records = [
        make_record("0000", params=inside),
        make_record("0001", [0.7], params={**inside, "own.depth": 9}),
        make_record("0002", [0.8], params={"architecture": "compact"}),
    ]
    warm = make_warm_start(study, "f00d", study, "f00d", records, "earlier")
    assert [known.params for known in warm.known] == [inside]
    assert warm.first[:2] == (inside, {**inside, "own.depth": 4})
    assert TrialConfig.from_params(warm.first[2]).own == {"kind": "a"}


def test_changed_modules_are_told():
    then, now = ({"own_code": {"mine": {"digest": digit * 32, "file": "x"}}} for digit in "ab")
    assert changed_code(then, now) == [f"your mine was {'a' * 12} and is {'b' * 12}"]
    assert changed_code(then, then) == []
    assert changed_code(then, {}) == [], "what runs none of it has no other"
