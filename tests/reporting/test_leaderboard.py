import dataclasses
import io
import json

import pytest

from handsigns.config.validate import validate_search_config
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.reporting.leaderboard import write_leaderboard
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, StoredSearch
from handsigns.results.tables import write_tables
from handsigns.results.trial import Placement
from tests.support.records import make_spec

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
    "batch_size": {"type": "choice", "values": [8, 16]},
    "dropout": 0.3,
}


@pytest.fixture
def search(tmp_path):
    """Three trials: one completed, a better one stopped, one diverged in its first epoch."""
    config, _ = validate_search_config({"space": SPACE})
    paths = SearchPaths(tmp_path / "mine")
    paths.root.mkdir()
    journal = Journal(paths.journal, writable=True)
    for number, loss in enumerate((0.5, 0.25)):
        trial_id = f"{number:04d}"
        journal.start_trial(
            make_spec(trial_id, {"learning_rate": 0.0012345678, "batch_size": 8 + 8 * number})
        )
        metrics = EpochMetrics(1, 0.7, 0.6, loss, 0.9 + loss / 10, 0.95, 1e-3, 1.25)
        journal.report_epoch(trial_id, metrics, Placement("laptop/1", "cpu", 1))
        journal.end_trial(trial_id, "stopped" if number else "completed")
    journal.start_trial(make_spec("0002", {"learning_rate": 0.1, "batch_size": 8}))
    journal.end_trial("0002", "diverged", "training loss is not finite in epoch 1")
    info = DataInfo("synthetic hands", "f00d", ("a", "b"), 64, {"train": (1, 1)})
    yield StoredSearch(paths, config, DataRecord(info, None, 64, False), journal)
    journal.close()


def render(search, fmt, top=None):
    out = io.StringIO()
    write_leaderboard(search, top, fmt, out)
    return out.getvalue()


def test_json_has_every_column_at_full_precision(search):
    rows = json.loads(render(search, "json"))
    assert [row["trial_id"] for row in rows] == ["0001", "0000", "0002"]
    assert rows[0]["learning_rate"] == 0.0012345678
    assert rows[0]["val_accuracy"] == 0.925
    assert rows[0]["optimizer"] == "adamw"
    assert rows[2]["val_loss"] is None


def test_csv_equals_the_file_of_the_search(search):
    write_tables(search.paths, search.journal, search.config.objective)
    assert render(search, "csv") == search.paths.leaderboard.read_text()


def test_csv_is_limited_to_the_top_trials(search):
    lines = render(search, "csv", top=1).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("rank,trial_id,status,val_accuracy,val_loss,val_balanced_accuracy")


@pytest.mark.parametrize(
    ("metric", "train_images", "shown"),
    [
        ("val_accuracy", (30, 3), "val_accuracy | val_loss"),
        ("val_accuracy", (31, 3), "val_accuracy | val_balanced_accuracy | val_macro_f1 | val_loss"),
        ("val_macro_f1", (3, 3), "val_macro_f1 | val_accuracy | val_loss"),
    ],
)
def test_scores_by_class_are_shown_where_they_matter(search, metric, train_images, shown):
    info = dataclasses.replace(search.data.info, counts={"train": train_images})
    objective = search.config.objective.model_copy(update={"metric": metric})
    search = dataclasses.replace(
        search,
        data=dataclasses.replace(search.data, info=info),
        config=search.config.model_copy(update={"objective": objective}),
    )
    header = render(search, "md").splitlines()[0]
    assert f"| status | {shown} | epochs |" in header


def test_markdown_shows_varying_hyperparameters_only(search):
    lines = render(search, "md").splitlines()
    assert lines[0] == (
        "| rank | trial_id | status | val_accuracy | val_loss | epochs | seconds | learning_rate "
        "| batch_size |"
    )
    assert lines[2] == "| 1 | 0001 | stopped | 92.50% | 0.25 | 1 | 1.2 | 0.001235 | 16 |"
    assert lines[4] == "| – | 0002 | diverged | – | – | 0 | 0.0 | 0.1 | 8 |"


def test_markdown_makes_links_images_and_html_inert(search):
    choice = {"type": "choice", "values": ["![a](http://b)", "<i>|"]}
    config, _ = validate_search_config({"space": {"custom": {"x": choice}}})
    for number, value in enumerate(choice["values"]):
        search.journal.start_trial(make_spec(f"000{3 + number}", {"custom.x": value}))
    text = render(dataclasses.replace(search, config=config), "md")
    assert r"| \!\[a\]\(http\://b\) |" in text
    assert r"| &lt;i&gt;\| |" in text


def test_narrow_terminals_drop_columns_but_cut_no_cell(search, monkeypatch):
    assert "val_accuracy" in render(search, "table")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    text = render(search, "table")
    assert "…" not in text
    header = text.splitlines()[0]
    assert "val_loss" in header, "the objective"
    assert "learning_rate" in header
    assert "seconds" not in header
