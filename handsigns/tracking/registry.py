"""Which trackers a search has, and whether their libraries are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from handsigns.errors import ConfigError
from handsigns.tracking.base import TrackedSearch, Tracker

TOOLS = ("tensorboard", "mlflow", "wandb")
"""Each named like its package, and like the extra that installs it."""


def refuse_missing(tools: Iterable[str]) -> None:
    """See that what is asked for is installed, without loading it.

    Raises:
        ConfigError: it is not; says how to install it.
    """
    missing = [tool for tool in tools if importlib.util.find_spec(tool) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} cannot be told of the search, as that is not installed: "
            f"pip install 'handsigns[{','.join(missing)}]'"
        )


def make_tracker(tool: str, search: TrackedSearch) -> Tracker:
    """The tracker of that name; loads its library."""
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
    raise ValueError(f"there is no tracker {tool}")
