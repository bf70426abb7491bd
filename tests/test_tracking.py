"""A real search with all trackers on, as each tool's own reader sees it afterwards."""

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
model = mlflow.pyfunc.load_model("models:/told/1")
pictures = [Path(name).read_bytes() for name in {pictures}]
found = model.predict(pandas.DataFrame({{"picture": pictures}}))
print(json.dumps(found.to_dict(orient="records")))
"""


@pytest.fixture(scope="module")
def told(place):
    """The results of a search that all tools were told of, retrained and tested."""
    for library in ("tensorboard", "mlflow", "wandb"):
        pytest.importorskip(library)
    place.environment.pop("WANDB_MODE", None)
    arguments = ["search", "tiny.yaml", *place.data, "--name", "told", "--track",
                 "tensorboard,mlflow,wandb"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SEARCH.format(arguments=arguments)], cwd=place.root,
        env=place.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "switched off" not in done.stdout, done.stdout
    assert "tensorboard: tensorboard --logdir results/told/tensorboard" in done.stdout
    output = place.run("retrain", "told", "--seeds", "1")
    assert "mlflow: the winner is models:/told/1" in output
    assert "Warning" not in output
    place.run("test", "told")
    return place.folder("told")


def curves(place):
    """Validation losses of each trial, by epoch, as its table has them."""
    found = {row["trial_id"]: {} for row in place.rows("told", "trials")}
    for row in place.rows("told", "epochs"):
        found[row["trial_id"]][int(row["epoch"])] = float(row["val_loss"])
    return found


def test_optuna(place, told):
    backend = JournalFileBackend(str(told / "optuna.log"))
    study = optuna.load_study(study_name="told", storage=JournalStorage(backend))
    states = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    rows = place.rows("told", "trials")
    assert [t.state for t in study.trials] == [states[row["status"]] for row in rows]
    assert {t.user_attrs["trial_id"]: t.intermediate_values for t in study.trials} == curves(place)


def test_tensorboard(place, told):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for trial_id, curve in curves(place).items():
        events = EventAccumulator(str(told / "tensorboard" / trial_id))
        events.Reload()
        assert {e.step: e.value for e in events.Scalars("val_loss")} == pytest.approx(curve)
        assert "_hparams_/session_end_info" in events.PluginTagToContent("hparams")


def test_mlflow(place, told):
    from mlflow import MlflowClient

    uri = f"sqlite:///{told}/mlflow/mlflow.db"
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("handsigns").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    tested = json.loads((told / "winner" / "test.json").read_text())
    assert parent.data.metrics["test_accuracy"] == tested["accuracy"]
    children = {r.data.tags["handsigns.trial_id"]: r for r in runs if r is not parent}
    assert {
        trial_id: {m.step: m.value for m in client.get_metric_history(run.info.run_id, "val_loss")}
        for trial_id, run in children.items()
    } == curves(place)
    (version,) = client.search_model_versions("name = 'told'")
    assert version.tags["test_accuracy"] == str(tested["accuracy"])
    assert not list(told.rglob("*.pkl"))


def test_the_registered_model_predicts_as_we_do(place, told):
    pictures = ["bands/test/high/0.png", "bands/test/low/1.png"]
    ours = json.loads(place.run("predict", "told", *pictures, "--format", "json"))
    script = LOAD.format(uri=f"sqlite:///{told}/mlflow/mlflow.db", pictures=pictures)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=place.root, capture_output=True, text=True, timeout=900,
        env={k: v for k, v in place.environment.items() if k != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    for mine, other in zip(ours, theirs, strict=True):
        assert other == pytest.approx(mine["probabilities"])


def test_wandb(place, told):
    runs = [path.name.rsplit("-", 1)[1] for path in (told / "wandb").glob("offline-run-*")]
    assert sorted(runs) == [*sorted(curves(place)), "winner"]
    assert all(list(Path(told).glob(f"wandb/offline-run-*-{run}/*.wandb")) for run in runs)
