"""What MLflow's own client finds in the search's database."""

import pytest

pytest.importorskip("mlflow")

from handsigns.tracking.base import mlflow_uri

# MLflow's tables use what SQLAlchemy 2.1 will no longer have.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def client(played):
    from mlflow import MlflowClient

    return MlflowClient(mlflow_uri(played.paths, played.search.study))


def runs(played):
    """The parent run, and the others by trial."""
    found = client(played).search_runs(
        [e.experiment_id for e in client(played).search_experiments()]
    )
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = {run.data.tags["handsigns.trial_id"]: run for run in found if run not in parents}
    assert len(children) == len(found) - 1, "a run for each trial"
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {
        parents[0].info.run_id
    }
    return parents[0], children


def history(played, run, metric="val_loss"):
    return [(m.step, m.value) for m in client(played).get_metric_history(run.info.run_id, metric)]


def test_a_killed_search_resumes_the_same_runs(played):
    played.first_session()
    played.hand_to("mlflow", killed=True)
    before, children = runs(played)
    assert [children[f"{n:04d}"].info.status for n in range(5)] == [
        "FINISHED", "FINISHED", "FAILED", "FAILED", "RUNNING"
    ]  # fmt: skip
    assert children["0000"].data.params == {
        "learning_rate": "0.001", "dropout": "0.25", "batch_size": "8"
    }  # fmt: skip
    assert children["0001"].data.tags["handsigns.status"] == "stopped"
    assert before.info.status == "RUNNING"
    played.second_session()
    for trial in ("0005",):
        played.journal.end(trial, "interrupted")
    played.hand_to("mlflow")
    after, resumed = runs(played)
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "KILLED"
    assert resumed["0004"].info.run_id == children["0004"].info.run_id
    assert [resumed[t].info.status for t in ("0004", "0005")] == ["FINISHED", "KILLED"]
    assert after.data.metrics["best_trial_val_loss"] == pytest.approx(1 / 9)
    assert after.data.tags["handsigns.best_trial"] == "0000"
    for trial_id, run in resumed.items():
        epochs = played.journal[trial_id].epochs
        assert history(played, run) == [(m.epoch, m.val_loss) for m in epochs]
    played.hand_to("mlflow")
    again = runs(played)[0]
    assert history(played, again, "best_trial_val_loss") == history(
        played, after, "best_trial_val_loss"
    )
    assert len(history(played, again, "best_trial_val_loss")) == 1


def test_what_starts_over_and_what_was_copied(played):
    played.first_session()
    played.hand_to("mlflow", killed=True)
    copied = played.renamed("copied")
    played.start_over()
    played.hand_to("mlflow")
    _, children = runs(played)
    assert history(played, children["0004"]) == [(1, 7.0)]
    copied.hand_to("mlflow")
    places = {e.name: e.artifact_location for e in client(copied).search_experiments()}
    ours = [place for place in places.values() if place.startswith(copied.paths.root.as_uri())]
    assert len(ours) == 1, "artifacts of the copy do not go into the first search's folder"
