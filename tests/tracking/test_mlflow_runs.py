"""The search's MLflow database, read by MLflow's own client."""

import pytest

pytest.importorskip("mlflow")

from handsigns.results.trial import Placement, Verdict
from handsigns.tracking.background import update_tracker
from handsigns.tracking.base import mlflow_uri
from handsigns.tracking.registry import make_tracker

PLACEMENT = Placement("laptop/1", "cpu", 1)

# MLflow's tables use a feature that SQLAlchemy 2.1 removes.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]


def client(scripted):
    from mlflow import MlflowClient

    return MlflowClient(mlflow_uri(scripted.paths, scripted.search.config))


def runs(scripted):
    """Return the parent run, and the trial runs by trial id."""
    found = client(scripted).search_runs(
        [e.experiment_id for e in client(scripted).search_experiments()]
    )
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = {run.data.tags["handsigns.trial_id"]: run for run in found if run not in parents}
    assert len(children) == len(found) - 1, "one run per trial"
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {
        parents[0].info.run_id
    }
    return parents[0], children


def history(scripted, run, metric="val_loss"):
    return [(m.step, m.value) for m in client(scripted).get_metric_history(run.info.run_id, metric)]


def test_a_killed_search_resumes_the_same_runs(scripted):
    scripted.first_session()
    scripted.export_to("mlflow", killed=True)
    before, children = runs(scripted)
    assert [children[f"{n:04d}"].info.status for n in range(5)] == [
        "FINISHED", "FINISHED", "FAILED", "FAILED", "RUNNING"
    ]  # fmt: skip
    assert children["0000"].data.params == {
        "learning_rate": "0.001", "dropout": "0.25", "batch_size": "8"
    }  # fmt: skip
    assert children["0001"].data.tags["handsigns.status"] == "stopped"
    assert before.info.status == "RUNNING"
    scripted.second_session()
    scripted.journal.end_trial("0005", "interrupted")
    scripted.export_to("mlflow")
    after, resumed_runs = runs(scripted)
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "KILLED"
    assert resumed_runs["0004"].info.run_id == children["0004"].info.run_id
    assert [resumed_runs[t].info.status for t in ("0004", "0005")] == ["FINISHED", "KILLED"]
    assert after.data.metrics["best_trial_val_loss"] == pytest.approx(1 / 9)
    assert after.data.tags["handsigns.best_trial"] == "0000"
    for trial_id, run in resumed_runs.items():
        epochs = scripted.journal[trial_id].epochs
        assert history(scripted, run) == [(m.epoch, m.val_loss) for m in epochs]
    scripted.export_to("mlflow")
    repeated = runs(scripted)[0]
    assert history(scripted, repeated, "best_trial_val_loss") == history(
        scripted, after, "best_trial_val_loss"
    )
    assert len(history(scripted, repeated, "best_trial_val_loss")) == 1


def test_a_promoted_trial_runs_again(scripted):
    tracker = make_tracker("mlflow", scripted.search)
    tracker.open([])
    scripted.start_trial("0000")
    pause = Verdict(1, 0.3, None, 0, "pause")
    scripted.journal.report_epoch("0000", scripted.make_epoch_metrics(1, 0.3), PLACEMENT, pause)
    statuses = []
    for event in ("paused", "promoted", "completed"):
        if event == "promoted":
            scripted.journal.resume_trial("0000")
        elif event == "completed":
            scripted.train("0000", 2, 3)
            scripted.journal.end_trial("0000", "completed")
        update_tracker(tracker, scripted.journal.records)
        statuses.append(runs(scripted)[1]["0000"].info.status)
    assert statuses == ["KILLED", "RUNNING", "FINISHED"]


def test_restarted_trials_and_copied_searches_get_new_runs(scripted):
    scripted.first_session()
    scripted.export_to("mlflow", killed=True)
    copy = scripted.copy("copied")
    scripted.restart_on_other_data()
    scripted.export_to("mlflow")
    _, children = runs(scripted)
    assert history(scripted, children["0004"]) == [(1, 7.0)]
    copy.export_to("mlflow")
    locations = [e.artifact_location for e in client(copy).search_experiments()]
    own = [location for location in locations if location.startswith(copy.paths.root.as_uri())]
    assert len(own) == 1, "artifacts of the copy do not go into the original's folder"


def test_the_path_of_the_database_may_have_special_characters(scripted):
    scripted.first_session()
    copy = scripted.copy("50%25 & c?")
    copy.export_to("mlflow")
    assert (copy.paths.mlflow / "mlflow.db").is_file()
    assert len(runs(copy)[1]) == 5
