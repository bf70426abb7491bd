"""The winner as a registered model of MLflow, without a pickle.

The model is code (`mlflow_pyfunc.py`, with this package) and the folder of the winner, safetensors
and YAML; so it can be loaded where handsigns is not installed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from handsigns.errors import ResultsError
from handsigns.io.digest import file_digest
from handsigns.results.winner import CONFIG_FILE, MODEL_FILE, ModelCard
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.mlflow_runs import MlflowRuns  # makes MLflow's settings first

import mlflow  # isort: skip
from mlflow.entities import Metric, RunTag  # isort: skip
from mlflow.exceptions import MlflowException  # isort: skip

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
            f"MLflow does not know {search.name} yet: "
            f"{search.paths.command('track', '--to', 'mlflow')}"
        )
    digest = file_digest(search.paths.winner / MODEL_FILE)
    version = _version(runs, run_id, search.name, digest)
    version = version or _log_model(runs, run_id, search, card, digest)
    _tell(runs, run_id, search.name, version, figures)
    return f"mlflow: the winner is models:/{search.name}/{version}"


def _version(runs: MlflowRuns, run_id: str, name: str, digest: str) -> str | None:
    """The version with these weights that this search's run has registered already, if any."""
    found = runs.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    same = [version for version in found if version.tags.get(_DIGEST) == digest]
    return str(same[0].version) if same else None


def _log_model(
    runs: MlflowRuns, run_id: str, search: TrackedSearch, card: ModelCard, digest: str
) -> str:
    status = runs.client.get_run(run_id).info.status
    mlflow.set_tracking_uri(runs.uri)
    mlflow.set_registry_uri(runs.uri)
    with _quiet(), tempfile.TemporaryDirectory() as scratch, mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name="winner",
            python_model=str(Path(__file__).with_name("mlflow_pyfunc.py")),
            artifacts={"winner": _bare_winner(search, Path(scratch))},
            code_paths=[_bare_package(Path(scratch))],
            signature=_signature(card),
            pip_requirements=[f"{n}=={importlib.metadata.version(n)}" for n in _REQUIREMENTS],
        )
    runs.client.update_run(run_id, status=status)
    with contextlib.suppress(MlflowException):  # an earlier winner made it
        runs.client.create_registered_model(search.name)
    made = runs.client.create_model_version(
        search.name, logged.model_uri, run_id, tags={_DIGEST: digest}, model_id=logged.model_id
    )
    return str(made.version)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without advice that does not apply: examples and type hints, where there is a signature."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(before)


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
    known = runs.client.get_run(run_id).data.metrics
    numbers = {
        key: float(value)
        for key, value in figures.items()
        if not isinstance(value, str) and known.get(key) != value
    }
    runs.client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0) for key, value in numbers.items()],
        tags=[RunTag(f"handsigns.winner.{key}", str(value)) for key, value in figures.items()],
    )
    for key, value in figures.items():
        runs.client.set_model_version_tag(name, version, key, str(value))
