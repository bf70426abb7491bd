"""The winner in MLflow's model registry, loaded by MLflow itself."""

import io
import math
import os
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("mlflow")

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode, UserModule
from handsigns.errors import ResultsError
from handsigns.models import build_model
from handsigns.results.winner import ModelCard
from handsigns.tracking.background import update_tracker
from handsigns.tracking.base import TrackedSearch, mlflow_uri
from handsigns.tracking.mlflow_runs import MlflowRuns
from handsigns.winner import mlflow_registry
from handsigns.winner.mlflow_registry import register
from handsigns.winner.model import save_model

# MLflow's tables use a feature that SQLAlchemy 2.1 removes.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

SOURCE = """
from torch import nn

def net(config, classes, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))
"""
USER_CODE = UserCode({"mine": UserModule("mine", SOURCE, Path("mine.py"))})
CARD = ModelCard(
    config=TrialConfig(architecture="mine:net"), classes=("a", "b"), size=16, epochs=7, seeds=(5,),
    search="scripted", trial_id="0001", selected_by="rank", selected_after_test=False,
    fingerprint="f00d", git_revision=None, user_code=USER_CODE.code_metadata(), trained_seeds=(5,),
)  # fmt: skip


@pytest.fixture
def search(make_search):
    """Search in MLflow whose winner is a user-defined network."""
    stored = make_search(trials=2)
    tracked = TrackedSearch(stored.paths, stored.config, stored.data.info)
    tracker = MlflowRuns(tracked)
    tracker.open(stored.journal.records)
    update_tracker(tracker, stored.journal.records)
    tracker.close(stored.journal.records)
    stored.paths.winner.mkdir()
    torch.manual_seed(0)
    network = build_model(CARD.config, 2, 16, USER_CODE)
    save_model(stored.paths.winner, {5: network}, CARD, USER_CODE)
    return tracked


def test_no_experiment_is_created_for_a_search_never_exported(make_search):
    from mlflow import MlflowClient

    stored = make_search(trials=2)
    with pytest.raises(ResultsError, match="MLflow has no run of scripted; export it first"):
        register(TrackedSearch(stored.paths, stored.config, stored.data.info), CARD, {})
    client = MlflowClient(mlflow_uri(stored.paths, stored.config))
    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]


def test_a_user_defined_network_is_registered_with_its_code(search, monkeypatch):
    import mlflow
    import pandas as pd

    assert register(search, CARD, {}) == "mlflow: the winner is models:/scripted/1"
    assert register(search, CARD, {}).endswith("/1"), "the same model is registered once"
    (description,) = search.paths.mlflow.rglob("MLmodel")
    monkeypatch.setattr(sys, "path", [*sys.path])  # MLflow adds the model's code to it
    model = mlflow.pyfunc.load_model(str(description.parent))
    content = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(content, "PNG")
    probabilities = model.predict(pd.DataFrame({"image": [content.getvalue()]}))
    assert list(probabilities) == ["a", "b"]
    assert probabilities.sum(axis=1).tolist() == pytest.approx([1.0])


def test_the_users_own_run_and_settings_are_kept(search, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own = f"sqlite:///{tmp_path}/own.db"
    try:
        mlflow.set_tracking_uri(mlflow_uri(search.paths, search.config))
        with mlflow.start_run() as run:
            mlflow.set_tracking_uri(own)
            register(search, CARD, {})
            assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == own
            assert os.environ["MLFLOW_TRACKING_URI"] == own
            assert mlflow.active_run().info.run_id == run.info.run_id
            mlflow.set_tracking_uri(mlflow_uri(search.paths, search.config))
    finally:
        mlflow.set_tracking_uri(None)


def test_a_test_result_of_an_earlier_winner_is_removed(search, monkeypatch):
    def log_model(runs, run_id, search, card, digest):
        runs.client.create_registered_model(search.name)
        tags = {mlflow_registry._DIGEST_TAG: digest}
        source = f"runs:/{run_id}/winner"
        return runs.client.create_model_version(search.name, source, run_id, tags).version

    monkeypatch.setattr(mlflow_registry, "_log_model", log_model)
    register(search, CARD, {"trial_id": "0000", "test_accuracy": 0.9})
    register(search, CARD, {"trial_id": "0001"})
    runs = MlflowRuns(search)
    parent = runs.find_parent_run()
    found = runs.client.get_run(parent).data
    tags = {name: value for name, value in found.tags.items() if ".winner." in name}
    assert tags == {"handsigns.winner.trial_id": "0001"}
    assert math.isnan(found.metrics["test_accuracy"])
