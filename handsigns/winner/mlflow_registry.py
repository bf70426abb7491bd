"""Registration of the winner in MLflow's model registry, without a pickle.

The model consists of code (`mlflow_pyfunc.py`, with this package) and the winner's safetensors and
YAML, so it can be loaded where handsigns is not installed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from handsigns.cluster.isolation import environment
from handsigns.errors import ResultsError
from handsigns.io.digest import file_digest
from handsigns.results.environment import copy_package
from handsigns.results.paths import user_code_dir
from handsigns.results.winner import CONFIG_FILE, MODEL_FILE, ModelCard
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.mlflow_runs import MlflowRuns  # sets MLflow's environment first

import mlflow  # isort: skip
from mlflow.entities import Metric, RunTag  # isort: skip
from mlflow.exceptions import MlflowException  # isort: skip

_DIGEST_TAG = "handsigns.model_digest"
_WINNER_TAG = "handsigns.winner."
"""Prefix of the tags with the winner's metrics."""
_REQUIREMENTS = ("torch", "torchvision", "numpy", "pandas", "pillow", "pydantic", "pyyaml",
                 "safetensors")  # fmt: skip
"""Requirements of loading the model and decoding images, without those of a search."""


def register(
    search: TrackedSearch, card: ModelCard, winner_metrics: Mapping[str, float | str]
) -> str:
    """Register the winner unless it is registered, log its metrics, and return a message.

    Raises:
        ResultsError: the search has not been exported to MLflow.
    """
    runs = MlflowRuns(search)
    run_id = runs.find_parent_run()
    if run_id is None:
        raise ResultsError(
            f"MLflow has no run of {search.name}; export it first: "
            f"{search.export_command('mlflow')}"
        )
    digest = _model_digest(search.paths.winner)
    version = _find_version(runs, run_id, search.name, digest)
    if version is None:
        with _connect_mlflow(runs.uri):
            version = _log_model(runs, run_id, search, card, digest)
    _log_winner_metrics(runs, run_id, search.name, version, winner_metrics)
    return f"mlflow: the winner is models:/{search.name}/{version}"


def _model_digest(winner: Path) -> str:
    """Return the digest of the weights and, of a user-defined network, the names of its sources.

    The names have digests of the sources.
    """
    sources = sorted(path.name for path in user_code_dir(winner).glob("*.py"))
    return " ".join([file_digest(winner / MODEL_FILE), *sources])


def _find_version(runs: MlflowRuns, run_id: str, name: str, digest: str) -> str | None:
    """Return the version of this model registered by this search's run, if any."""
    found = runs.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    same = [version for version in found if version.tags.get(_DIGEST_TAG) == digest]
    return str(same[0].version) if same else None


def _log_model(
    runs: MlflowRuns, run_id: str, search: TrackedSearch, card: ModelCard, digest: str
) -> str:
    status = runs.client.get_run(run_id).info.status
    with (
        _silence_mlflow(),
        tempfile.TemporaryDirectory() as scratch,
        mlflow.start_run(run_id=run_id, nested=True),  # the user may have an active run
    ):
        logged = mlflow.pyfunc.log_model(
            name="winner",
            python_model=str(Path(__file__).with_name("mlflow_pyfunc.py")),
            artifacts={"winner": _copy_model_files(search, Path(scratch))},
            code_paths=[str(copy_package(Path(scratch)))],
            signature=_signature(card),
            pip_requirements=[f"{n}=={importlib.metadata.version(n)}" for n in _REQUIREMENTS],
        )
    runs.client.update_run(run_id, status=status)
    with contextlib.suppress(MlflowException):  # registered by an earlier winner
        runs.client.create_registered_model(search.name)
    model_version = runs.client.create_model_version(
        search.name, logged.model_uri, run_id, tags={_DIGEST_TAG: digest}, model_id=logged.model_id
    )
    return str(model_version.version)


@contextlib.contextmanager
def _silence_mlflow() -> Iterator[None]:
    """Silence advice that does not apply: on examples and type hints, despite a signature."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _connect_mlflow(uri: str) -> Iterator[None]:
    """Connect MLflow's global functions to a server or database; restore the user's settings."""
    is_set = mlflow.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    tracking = mlflow.get_tracking_uri() if is_set else ""
    registry = mlflow.get_registry_uri()
    if registry == mlflow.get_tracking_uri():
        registry = ""  # as it is if not set: that of the runs
    with environment({}):  # MLflow also sets environment variables
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(tracking)
            mlflow.set_registry_uri(registry)


def _copy_model_files(search: TrackedSearch, scratch: Path) -> str:
    """Copy the files needed for prediction, without results; return their folder."""
    folder = scratch / "winner"
    folder.mkdir()
    for name in (MODEL_FILE, CONFIG_FILE):
        shutil.copy(search.paths.winner / name, folder / name)
    user_code = user_code_dir(search.paths.winner)
    if user_code.is_dir():
        shutil.copytree(user_code, user_code_dir(folder))
    return str(folder)


def _signature(card: ModelCard) -> mlflow.models.ModelSignature:
    from mlflow.types import ColSpec, DataType, Schema

    return mlflow.models.ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema([ColSpec(DataType.double, name) for name in card.classes]),
    )


def _log_winner_metrics(
    runs: MlflowRuns,
    run_id: str,
    name: str,
    version: str,
    winner_metrics: Mapping[str, float | str],
) -> None:
    now = int(time.time() * 1000)
    run = runs.client.get_run(run_id).data
    numbers = {
        key: float(value)
        for key, value in winner_metrics.items()
        if not isinstance(value, str) and run.metrics.get(key) != value
    }
    for tag in run.tags:
        key = tag.removeprefix(_WINNER_TAG)
        if key != tag and key not in winner_metrics:  # of an earlier winner, which was tested
            runs.client.delete_tag(run_id, tag)
            numbers[key] = math.nan  # a metric cannot be deleted
    runs.client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0) for key, value in numbers.items()],
        tags=[RunTag(f"{_WINNER_TAG}{key}", str(value)) for key, value in winner_metrics.items()],
    )
    for key, value in winner_metrics.items():
        runs.client.set_model_version_tag(name, version, key, str(value))
