"""A real search with all trackers enabled, read by each tool's own reader."""

import json
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

SEARCH = """
import sys
from handsigns.cli import main
assert main({arguments}) == 0
loaded = {{"torch", "torchvision"}} & set(sys.modules)
assert not loaded, loaded
"""
LOAD = """
import json, sys
from pathlib import Path
import mlflow, pandas
mlflow.set_tracking_uri({uri!r})
model = mlflow.pyfunc.load_model("models:/tracked/1")
images = [Path(name).read_bytes() for name in {images}]
found = model.predict(pandas.DataFrame({{"image": images}}))
print(json.dumps(found.to_dict(orient="records")))
"""


@pytest.fixture(scope="module")
def tracked(workspace):
    """Run a search with all trackers, retrain and test it; return its folder."""
    for library in ("tensorboard", "mlflow", "wandb"):
        pytest.importorskip(library)
    workspace.environment.pop("WANDB_MODE", None)
    arguments = ["search", "tiny.yaml", *workspace.data, "--name", "tracked", "--track",
                 "tensorboard,mlflow,wandb"]  # fmt: skip
    completed = subprocess.run(
        [sys.executable, "-c", SEARCH.format(arguments=arguments)], cwd=workspace.root,
        env=workspace.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "was disabled" not in completed.stdout, completed.stdout
    assert "tensorboard: tensorboard --logdir results/tracked/tensorboard" in completed.stdout
    output = workspace.run("retrain", "tracked", "--seeds", "1", "--no-report")
    assert "mlflow: the winner is models:/tracked/1" in output
    assert "Warning" not in output
    workspace.run("test", "tracked", "--no-report")
    return workspace.folder("tracked")


def curves(workspace):
    """Return the validation losses of each trial by epoch, from its tables."""
    found = {row["trial_id"]: {} for row in workspace.rows("tracked", "trials")}
    for row in workspace.rows("tracked", "epochs"):
        found[row["trial_id"]][int(row["epoch"])] = float(row["val_loss"])
    return found


def test_optuna_has_the_search(workspace, tracked):
    backend = JournalFileBackend(str(tracked / "optuna.log"))
    study = optuna.load_study(study_name="tracked", storage=JournalStorage(backend))
    states = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    rows = workspace.rows("tracked", "trials")
    assert [t.state for t in study.trials] == [states[row["status"]] for row in rows]
    assert {t.user_attrs["trial_id"]: t.intermediate_values for t in study.trials} == curves(
        workspace
    )


def test_tensorboard_has_the_search(workspace, tracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for trial_id, curve in curves(workspace).items():
        events = EventAccumulator(str(tracked / "tensorboard" / trial_id))
        events.Reload()
        assert {e.step: e.value for e in events.Scalars("val_loss")} == pytest.approx(curve)
        assert "_hparams_/session_end_info" in events.PluginTagToContent("hparams")


def test_mlflow_has_the_search_and_its_winner(workspace, tracked):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tracked}/mlflow/mlflow.db"
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("handsigns").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    tested = json.loads((tracked / "winner" / "test.json").read_text())
    assert parent.data.metrics["test_accuracy"] == tested["accuracy"]
    children = {r.data.tags["handsigns.trial_id"]: r for r in runs if r is not parent}
    assert {
        trial_id: {m.step: m.value for m in client.get_metric_history(run.info.run_id, "val_loss")}
        for trial_id, run in children.items()
    } == curves(workspace)
    (version,) = client.search_model_versions("name = 'tracked'")
    assert version.tags["test_accuracy"] == str(tested["accuracy"])
    assert not list(tracked.rglob("*.pkl"))


def test_the_registered_model_agrees_with_predict(workspace, tracked):
    images = ["bands/test/high/0.png", "bands/test/low/1.png"]
    predicted = json.loads(workspace.run("predict", "tracked", *images, "--format", "json"))
    script = LOAD.format(uri=f"sqlite:///{tracked}/mlflow/mlflow.db", images=images)
    completed = subprocess.run(
        [sys.executable, "-c", script], cwd=workspace.root, capture_output=True, text=True,
        timeout=900, env={k: v for k, v in workspace.environment.items() if k != "PYTHONPATH"},
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    registered = json.loads(completed.stdout.splitlines()[-1])
    for expected, found in zip(predicted, registered, strict=True):
        assert found == pytest.approx(expected["probabilities"])


def test_wandb_has_the_search_and_its_winner(workspace, tracked):
    runs = [path.name.rsplit("-", 1)[1] for path in (tracked / "wandb").glob("offline-run-*")]
    assert sorted(runs) == [*sorted(curves(workspace)), "winner"]
    assert all(list(Path(tracked).glob(f"wandb/offline-run-*-{run}/*.wandb")) for run in runs)
