"""The winner as a registered model of MLflow, without a pickle.

The model is code (`mlflow_model.py`, with this package) and the folder of the winner, safetensors
and YAML; so it can be loaded where handsigns is not installed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from handsigns.errors import ResultsError
from handsigns.search.tracking.mlflow_runs import MlflowRuns  # makes MLflow's settings first
from handsigns.search.tracking.tracker import TrackedSearch
from handsigns.winner.model import CONFIG_FILE, MODEL_FILE, ModelCard

import mlflow  # isort: skip
from mlflow.entities import Metric, RunTag  # isort: skip

_DIGEST = "handsigns.model_digest"
_PACKAGE = Path(__file__).resolve().parents[1]
_REQUIREMENTS = ("torch", "torchvision", "numpy", "pandas", "pillow", "pydantic", "pyyaml",
                 "safetensors")  # fmt: skip
"""Of the code that loads the model and reads pictures, without what a search needs."""


def register(search: TrackedSearch, card: ModelCard, figures: Mapping[str, float | str]) -> str:
    """Register the winner if it is not there, and tell its figures; returns where it is.

    Raises:
        ResultsError: MLflow does not know the search.
    """
    runs = MlflowRuns(search)
    run_id = runs.find_parent()
    if run_id is None:
        raise ResultsError(
            f"MLflow does not know {search.name} yet: python tune_main.py track {search.name} "
            f"--to mlflow"
        )
    weights = (search.paths.winner / MODEL_FILE).read_bytes()
    digest = hashlib.blake2b(weights, digest_size=16).hexdigest()
    version = _version(runs, search.name, digest) or _log_model(runs, run_id, search, card, digest)
    _tell(runs, run_id, search.name, version, figures)
    return f"mlflow: the winner is models:/{search.name}/{version}"


def _version(runs: MlflowRuns, name: str, digest: str) -> str | None:
    """The version with these weights that is registered already, if any."""
    found = runs.client.search_model_versions(f"name = '{name}'")
    same = [version for version in found if version.tags.get(_DIGEST) == digest]
    return str(same[0].version) if same else None


def _log_model(
    runs: MlflowRuns, run_id: str, search: TrackedSearch, card: ModelCard, digest: str
) -> str:
    status = runs.client.get_run(run_id).info.status
    mlflow.set_tracking_uri(runs.uri)
    mlflow.set_registry_uri(runs.uri)
    with tempfile.TemporaryDirectory() as scratch, mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name="winner",
            python_model=str(Path(__file__).with_name("mlflow_model.py")),
            artifacts={"winner": _bare_winner(search, Path(scratch))},
            code_paths=[_bare_package(Path(scratch))],
            signature=_signature(card),
            pip_requirements=[f"{n}=={importlib.metadata.version(n)}" for n in _REQUIREMENTS],
            registered_model_name=search.name,
        )
    if status != "FINISHED":
        runs.client.update_run(run_id, status=status)
    version = str(logged.registered_model_version)
    runs.client.set_model_version_tag(search.name, version, _DIGEST, digest)
    return version


def _bare_winner(search: TrackedSearch, scratch: Path) -> str:
    """What is needed to classify, without results."""
    folder = scratch / "winner"
    folder.mkdir()
    for name in (MODEL_FILE, CONFIG_FILE):
        shutil.copy(search.paths.winner / name, folder / name)
    return str(folder)


def _bare_package(scratch: Path) -> str:
    """Our code, without what Python has compiled of it."""
    return shutil.copytree(
        _PACKAGE, scratch / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")
    ).__fspath__()


def _signature(card: ModelCard) -> mlflow.models.ModelSignature:
    from mlflow.types import ColSpec, DataType, Schema

    return mlflow.models.ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "picture")]),
        outputs=Schema([ColSpec(DataType.double, name) for name in card.classes]),
    )


def _tell(
    runs: MlflowRuns, run_id: str, name: str, version: str, figures: Mapping[str, float | str]
) -> None:
    now = int(time.time() * 1000)
    numbers = {key: float(v) for key, v in figures.items() if not isinstance(v, str)}
    runs.client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0) for key, value in numbers.items()],
        tags=[RunTag(f"handsigns.winner.{key}", str(value)) for key, value in figures.items()],
    )
    for key, value in figures.items():
        runs.client.set_model_version_tag(name, version, key, str(value))
