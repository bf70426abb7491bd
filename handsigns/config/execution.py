"""Sections of a search space on how its trials run: resources, failures and trackers."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, model_validator

from handsigns.config.duration import parse_duration
from handsigns.config.parameters import ConfigFloat, ConfigInt
from handsigns.config.sections import Section

_URI = re.compile(r"(https?|sqlite|postgresql|mysql|mssql|databricks)[a-z0-9+]*:/{2,4}\S")
_SECRET = re.compile(r"(passw(or)?d|pwd|secret|token)\s*=", re.IGNORECASE)


def _timeout(value: object) -> object:
    return value if value == "auto" else parse_duration(value)


def _switch(value: object) -> object:
    """Return ``on`` or ``off`` for the boolean that YAML reads these words as."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class Resources(Section):
    """Resources of a trial; ``auto`` adapts to the machine or cluster."""

    cpus_per_trial: Annotated[ConfigFloat, Field(gt=0)] | Literal["auto"] = "auto"
    """CPU cores per trial; above 1 it must be a whole number."""
    gpus_per_trial: Annotated[ConfigFloat, Field(ge=0)] | Literal["auto"] = "auto"
    """GPUs per trial; with a fraction trials share a GPU, above 1 it must be a whole number."""
    max_concurrent_trials: Annotated[ConfigInt, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of concurrent trials; an autoscaling cluster scales up to fit them."""
    accelerator_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | None = (
        None
    )
    """Accelerator type that trials require, such as ``T4``, as Ray names it (``ray status``)."""
    mps: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = "auto"
    """Whether trials that share a GPU run on it at the same time, by NVIDIA's MPS. ``auto`` starts
    its daemon for a search on this machine unless another process uses a GPU, and else lets trials
    take turns; ``on`` starts it even then, and refuses to search without it; ``off`` starts none
    (docs/tutorials/cluster.md)."""

    @model_validator(mode="after")
    def _whole_above_one(self) -> Resources:
        for name in ("cpus_per_trial", "gpus_per_trial"):
            value = getattr(self, name)
            if value != "auto" and value > 1 and value != int(value):
                raise ValueError(f"{name} is {value:g}; above 1 it must be a whole number")
        return self


def _mlflow_uri(value: object) -> object:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _URI.match(value):
        raise ValueError(
            f"{value!r} is neither true nor false nor the address of a server, such as "
            f"http://localhost:5000"
        )
    has_user = "@" in value and not value.startswith("sqlite")  # its addresses are paths
    if has_user or _SECRET.search(unquote(value)):
        raise ValueError(
            "credentials in the address would be written to files; set MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD (PGUSER and PGPASSWORD for PostgreSQL) instead"
        )
    return value


class FaultTolerance(Section):
    """Handling of trials that crash or hang."""

    max_retries: ConfigInt = Field(default=3, ge=0, le=1000)
    """Retries, from its checkpoint, of a trial whose process died, before it counts as failed."""
    report_timeout: Annotated[float, BeforeValidator(_timeout)] | Literal["auto"] = "auto"
    """Seconds without a report after which a trial counts as hung and its process is killed; auto:
    ten times the search's longest epoch, at least ten minutes; an hour before the first epoch."""

    def hang_timeout(self, longest_epoch: float | None) -> float:
        """Return the allowed seconds without a report, given the longest epoch so far (s)."""
        if self.report_timeout != "auto":
            return self.report_timeout
        return 3600.0 if longest_epoch is None else max(600.0, 10 * longest_epoch)


class Tracking(Section):
    """Experiment trackers, each a separate optional dependency."""

    tensorboard: bool = Field(default=False, strict=True)
    """Whether to write TensorBoard event files to the results folder."""
    mlflow: Annotated[bool | str, BeforeValidator(_mlflow_uri)] = False
    """Whether to log to an MLflow database in the results folder, or the address of a server."""
    wandb: bool = Field(default=False, strict=True)
    """Whether to log to Weights & Biases in the results folder (offline without WANDB_MODE)."""

    @property
    def enabled(self) -> tuple[str, ...]:
        """Names of the enabled trackers."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))
