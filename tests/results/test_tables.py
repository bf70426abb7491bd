"""Tables as rows and CSV: source of every column, missing values, escaped formulas."""

import csv
import dataclasses
import io
import math
import sys
from types import SimpleNamespace

import pytest

from handsigns.metrics import EpochMetrics
from handsigns.results.frames import trial_frame
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.tables import (
    decision_table,
    epoch_table,
    leaderboard_table,
    trial_table,
    write_tables,
)
from handsigns.results.trial import Decision, Placement, Verdict
from handsigns.tracking.base import trial_attributes
from tests.support.records import make_spec


@pytest.fixture
def record(make_record):
    """Return a trial whose numbers are all different."""
    epochs = (
        EpochMetrics(1, 0.91, 0.11, 0.81, 0.21, 0.31, 0.001, 1.5, 0.41, 0.51),
        EpochMetrics(2, 0.92, 0.12, 0.82, 0.22, 0.32, 0.002, 2.25, 0.42, 0.52),
    )
    plain = make_record("0004", params={"learning_rate": 0.25, "loss": "mine:loss"})
    return dataclasses.replace(
        plain, seed=77, epochs=epochs, retries=5,
        placement=Placement("=node/1", "cuda", 3, "cuda graph"),
        error="Traceback\n@SUM(1)", started_at=1e9, ended_at=1e9 + 61.7,
    )  # fmt: skip


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_trial_columns_come_from_the_right_fields(record):
    (row,) = trial_table([record]).rows()
    expected = {
        "trial_id": "0004", "status": "completed", "val_accuracy": 0.22, "val_loss": 0.82,
        "val_balanced_accuracy": 0.42, "val_macro_f1": 0.52,
        "best_val_accuracy": 0.32, "train_accuracy": 0.12, "train_loss": 0.92, "epochs": 2,
        "seconds": 3.75, **record.config.hyperparameters(), "seed": 77,
        "started_at": "2001-09-09T01:46:40+00:00", "ended_at": "2001-09-09T01:47:41+00:00",
        "retries": 5, "node": "=node/1", "device": "cuda", "threads": 3, "execution": "cuda graph",
        "error": "@SUM(1)",
    }  # fmt: skip
    assert list(row.items()) == list(expected.items())


def test_only_csv_escapes_formulas(record):
    table = trial_table([record])
    (row,) = read_csv(table.csv())
    assert (row["node"], row["error"]) == ("'=node/1", "'@SUM(1)")
    assert trial_frame(SimpleNamespace(records=[record]))["node"].tolist() == ["=node/1"]


def test_carriage_return_in_text_begins_no_row(record):
    placement = dataclasses.replace(record.placement, node="10%\r=1+1")
    text = trial_table([dataclasses.replace(record, placement=placement)]).csv()
    assert "\r" not in text
    assert read_csv(text)[0]["node"] == r"10%\r=1+1"


def test_error_column_and_trackers_name_the_exception(record):
    frame = 'File "/venv/site-packages/torch/nn.py", line 9, in forward'
    error = f"Traceback\n  {frame}\n    x()\nRuntimeError: out of memory\nCompile with `X`.\n"
    failed = dataclasses.replace(record, error=error)
    (row,) = trial_table([failed]).rows()
    assert row["error"] == trial_attributes(failed)["error"] == "RuntimeError: out of memory"


def test_missing_values_of_a_trial_are_none(record, make_record):
    bare = dataclasses.replace(make_record("0005", [], "running"), placement=None)
    row = trial_table([bare]).rows()[0]
    missing = {name for name, value in row.items() if value is None}
    assert missing == {
        "val_accuracy", "val_loss", "val_balanced_accuracy", "val_macro_f1", "best_val_accuracy",
        "train_accuracy", "train_loss",
        "ended_at", "node", "device", "threads", "execution",
    }  # fmt: skip
    assert read_csv(trial_table([bare]).csv())[0]["threads"] == ""


def test_epoch_and_decision_rows(record):
    first, second = epoch_table([record]).rows()
    assert first == {"trial_id": "0004", **vars(record.epochs[0])}
    assert second == {"trial_id": "0004", **vars(record.epochs[1])}
    verdicts = Verdict(4.0, 0.5, None, 0, "continue"), Verdict(12.0, 0.7, 0.6, 8, "stop")
    table = decision_table([Decision("0004", 4 * k, v) for k, v in enumerate(verdicts, 1)])
    names = ("trial_id", "epoch", "rung", "value", "cutoff", "num_compared", "decision")
    assert table.names == names
    values = [tuple(row.values()) for row in table.rows()]
    assert values == [
        ("0004", 4, 4.0, 0.5, None, 0, "continue"),
        ("0004", 8, 12.0, 0.7, 0.6, 8, "stop"),
    ]


def test_leaderboard_is_ranked_and_omits_provenance(make_search_config, make_record):
    records = [make_record("0000", [0.9]), make_record("0001", [0.2]), make_record("0002", [0.5])]
    table = leaderboard_table(records, make_search_config().objective)
    ranks = [(row["rank"], row["trial_id"], row["val_loss"]) for row in table.rows()]
    assert ranks == [(1, "0001", 0.2), (2, "0002", 0.5), (3, "0000", 0.9)]
    trials = trial_table(records).names
    assert table.names == ("rank", *trials[: trials.index("seed")])


def test_csv_files_contain_the_rows(tmp_path, make_search_config, make_epoch_metrics):
    paths, objective = SearchPaths(tmp_path), make_search_config().objective
    journal = Journal(paths.journal, writable=True)
    for number, loss in enumerate((0.5, 0.125)):
        journal.start_trial(make_spec(f"{number:04d}", {"learning_rate": 0.01}))
        verdict = Verdict(1.0, loss, None, number, "continue")
        journal.report_epoch(
            f"{number:04d}", make_epoch_metrics(1, loss), Placement("laptop/1", "cpu", 2), verdict
        )
    paths.trials.write_text("stale")
    write_tables(paths, journal, objective)
    expected = {
        paths.trials: trial_table(journal.records),
        paths.epochs: epoch_table(journal.records),
        paths.decisions: decision_table(journal.decisions),
        paths.leaderboard: leaderboard_table(journal.records, objective),
    }
    for path, table in expected.items():
        rows = [
            {name: "" if value is None else str(value) for name, value in row.items()}
            for row in table.rows()
        ]
        assert read_csv(path.read_text()) == rows
        assert len(rows) == 2
    journal.close()


def test_empty_tables_have_a_header(make_search_config):
    assert trial_table([]).rows() == []
    assert trial_table([]).csv().startswith("trial_id,status,val_accuracy,")
    assert (
        leaderboard_table([], make_search_config().objective)
        .csv()
        .startswith("rank,trial_id,status,")
    )
    assert epoch_table([]).csv() == (
        "trial_id,epoch,train_loss,train_accuracy,val_loss,val_accuracy,best_val_accuracy,"
        "learning_rate,epoch_seconds,val_balanced_accuracy,val_macro_f1\n"
    )


def test_rows_and_csv_need_no_pandas(make_search_config, make_record, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = leaderboard_table([make_record("0000")], make_search_config().objective)
    assert table.rows()
    assert table.csv()


def test_csv_leaves_unrecorded_metrics_empty(make_record):
    record = make_record("0000")
    epoch = dataclasses.replace(record.epochs[0], val_macro_f1=math.nan)
    (row,) = read_csv(epoch_table([dataclasses.replace(record, epochs=(epoch,))]).csv())
    assert row["val_macro_f1"] == ""
