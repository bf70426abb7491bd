"""The available trackers, and whether their libraries are installed."""

from __future__ import annotations

from collections.abc import Iterable

from handsigns.errors import ConfigError
from handsigns.host import is_installed
from handsigns.tracking.base import TrackedSearch, Tracker

TRACKERS = ("tensorboard", "mlflow", "wandb")
"""Names of the trackers, which are those of their packages and of the extras that install them."""


def ensure_installed(tools: Iterable[str]) -> None:
    """Check that the libraries of trackers are installed, without importing them.

    Raises:
        ConfigError: one is missing; the message has the command that installs it.
    """
    missing = [tool for tool in tools if not is_installed(tool)]
    if missing:
        raise ConfigError(
            f"cannot track the search with {' and '.join(missing)}, not installed: "
            f"pip install 'handsigns[{','.join(missing)}]'"
        )


def make_tracker(tool: str, search: TrackedSearch) -> Tracker:
    """Create a tracker by its name; imports its library."""
    match tool:
        case "tensorboard":
            from handsigns.tracking.tensorboard_files import TensorboardFiles

            return TensorboardFiles(search)
        case "mlflow":
            from handsigns.tracking.mlflow_runs import MlflowRuns

            return MlflowRuns(search)
        case "wandb":
            from handsigns.tracking.wandb_runs import WandbRuns

            return WandbRuns(search)
        case "optuna":
            from handsigns.tracking.optuna_study import OptunaStudy

            return OptunaStudy(search)
    raise ValueError(f"unknown tracker {tool}")
