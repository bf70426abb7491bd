"""One search, resolved: every setting has its value, and all of them agree."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from handsigns.config.duration import parse_duration
from handsigns.config.hyperparameters import OWN, Scalar, TrialConfig
from handsigns.config.space import Choice, Number, Space, Whole
from handsigns.config.user_code import own_functions
from handsigns.console.format import percent
from handsigns.errors import ConfigError
from handsigns.io.storage import open_storage
from handsigns.metrics import EpochMetrics

Metric = Literal["val_loss", "val_accuracy"]
Direction = Literal["minimize", "maximize"]
DIRECTIONS: dict[str, Direction] = {"val_loss": "minimize", "val_accuracy": "maximize"}
_URI = re.compile(r"(https?|sqlite|postgresql|mysql|mssql|databricks)[a-z+]*:/{2,4}\S")
GRACE_SHARE = 6
"""The usual grace period is the epoch budget over this: from there on averaged weights tell how a
trial will end (docs/accuracy.md)."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Objective(_Section):
    """What the search optimises, measured on the validation split after a trial's last epoch."""

    metric: Metric = "val_loss"
    direction: Direction = "minimize"

    @property
    def minimize(self) -> bool:
        """Whether lower is better."""
        return self.direction == "minimize"

    @property
    def name(self) -> str:
        """The metric in words."""
        return {"val_loss": "validation loss", "val_accuracy": "validation accuracy"}[self.metric]

    @property
    def is_share(self) -> bool:
        """Whether its values are shares of images, in [0, 1], rather than of a loss, in nats."""
        return self.metric == "val_accuracy"

    def of(self, metrics: EpochMetrics) -> float:
        """Return the value after an epoch."""
        return float(getattr(metrics, self.metric))

    def sort_key(self, metrics: EpochMetrics) -> tuple[float, float]:
        """Return what sorts before another epoch's where it is better; the other metric decides
        between equals.
        """
        loss, accuracy = metrics.val_loss, -metrics.val_accuracy
        return (accuracy, loss) if self.is_share else (loss, accuracy)

    def signed(self, value: float) -> float:
        """Return the value such that lower is better."""
        return value if self.minimize else -value

    def format(self, value: float) -> str:
        """Return a value for a reader."""
        return percent(value) if self.is_share else f"{value:.4f}"


class Budget(_Section):
    """When the search ends."""

    trials: Whole = Field(default=30, ge=1, le=1_000_000)
    """Configurations to try."""
    max_epochs: Whole = Field(default=30, ge=1, le=100_000)
    """Epochs of a trial that is not stopped early; the schedule is tied to them."""
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    """Seconds of the search."""
    target: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Validation accuracy at which the search ends."""
    patience: Annotated[Whole, Field(ge=1)] | None = None
    """Trials in a row without a better one after which the search ends."""


class Scheduler(_Section):
    """Which trials are stopped early."""

    name: Literal["asha", "median", "hyperband", "none"] = "asha"
    grace_period: Annotated[Whole, Field(ge=1)] | None = None
    """Epochs every trial gets."""
    reduction_factor: Annotated[Number, Field(gt=1, le=100)] | None = None
    """Of the trials at a rung, one in so many goes on."""


class Searcher(_Section):
    """Which configurations are tried."""

    name: Literal["tpe", "random", "grid", "cmaes", "gp", "qmc"] = "tpe"
    startup_trials: Annotated[Whole, Field(ge=1)] | None = None
    """Configurations drawn at random before the sampler learns from results."""


def _timeout(value: object) -> object:
    return value if value == "auto" else parse_duration(value)


class Resources(_Section):
    """What a trial takes; ``auto`` fits the machine or cluster."""

    cpus_per_trial: Annotated[Number, Field(gt=0)] | Literal["auto"] = "auto"
    gpus_per_trial: Annotated[Number, Field(ge=0)] | Literal["auto"] = "auto"
    concurrent_trials: Annotated[Whole, Field(ge=1)] | Literal["auto"] = "auto"
    """Trials at a time; a cluster that grows by itself grows for as many."""
    accelerator_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | None = (
        None
    )
    """Trials run only on nodes with it, such as ``T4``, in Ray's words (``ray status``)."""

    @model_validator(mode="after")
    def _whole_above_one(self) -> Resources:
        for name in ("cpus_per_trial", "gpus_per_trial"):
            value = getattr(self, name)
            if value != "auto" and value > 1 and value != int(value):
                raise ValueError(f"{name} is {value:g}; above 1 it must be a whole number")
        return self


def _mlflow_place(value: object) -> object:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _URI.match(value):
        raise ValueError(
            f"{value!r} is neither true nor false nor the address of a server, such as "
            f"http://localhost:5000"
        )
    if "@" in value:
        raise ValueError(
            "an address with a user or password would be kept in files; put them into "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return value


def _place(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is neither the path of a folder nor a URL (s3://bucket/runs)")
    try:
        return open_storage(value.strip()).address
    except ConfigError as error:
        raise ValueError(str(error)) from error


class Faults(_Section):
    """What is done about trials that die or hang."""

    retries: Whole = Field(default=3, ge=0, le=1000)
    """How often a trial whose process died goes on, from its checkpoint, before it has failed."""
    report_timeout: Annotated[float, BeforeValidator(_timeout)] | Literal["auto"] = "auto"
    """Seconds after which a trial without a report counts as hanging, and its process is ended;
    auto: ten times the search's longest epoch and at least ten minutes, or an hour while there has
    been none."""

    def seconds_allowed(self, longest_epoch: float | None) -> float:
        """Seconds without a report that are allowed, given the longest epoch so far."""
        if self.report_timeout != "auto":
            return self.report_timeout
        return 3600.0 if longest_epoch is None else max(600.0, 10 * longest_epoch)


class Tracking(_Section):
    """Tools that are told of every trial, each with an extra of its own to install."""

    tensorboard: bool = Field(default=False, strict=True)
    """Event files in the results folder."""
    mlflow: Annotated[bool | str, BeforeValidator(_mlflow_place)] = False
    """A database in the results folder, or that of the server named."""
    wandb: bool = Field(default=False, strict=True)
    """Runs of Weights & Biases in the results folder, offline unless WANDB_MODE says otherwise."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Those that are asked for."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))


class Reevaluation(_Section):
    """What is trained again after the search, with fresh seeds, before a winner is chosen."""

    top: Whole = Field(default=3, ge=0, le=1000)
    """How many of the best configurations; 0: none, and the leaderboard's first wins."""
    seeds: Whole = Field(default=3, ge=1, le=1000)
    """Fresh seeds, the same for each of them."""
    folds: Whole = Field(default=0, ge=0, le=100)
    """Cut training and validation pictures anew into so many folds and hold each out once, for
    every seed; 0 keeps the validation split."""
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    """Seconds of it; what all of the configurations have by then is compared."""

    @model_validator(mode="after")
    def _two_folds(self) -> Reevaluation:
        if self.folds == 1:
            raise ValueError("folds is 1, which leaves nothing to train on; use 0, or 2 and more")
        return self


class StudyConfig(BaseModel):
    """A whole search; made by `load.load_study`, which checks that the sections agree."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    description: str = ""
    space: Space
    objective: Objective = Objective()
    budget: Budget = Budget()
    scheduler: Scheduler = Scheduler()
    searcher: Searcher = Searcher()
    resources: Resources = Resources()
    faults: Faults = Faults()
    tracking: Tracking = Tracking()
    reevaluation: Reevaluation = Reevaluation()
    baseline: bool = True
    """Whether the first trial is the recommended recipe, as near as the space allows."""
    seed: Annotated[Whole, Field(ge=0, lt=2**32)] = 230
    storage: Annotated[str, BeforeValidator(_place)] | None = None
    """A folder that all nodes share, or the URL of an object store: trials keep their checkpoints
    there, and the results are copied to it; null where one machine has all.
    """

    def baseline_params(self) -> dict[str, Scalar] | None:
        """The first trial's parameters; None where the sampler chooses it."""
        if not self.baseline or self.searcher.name == "grid":
            return None
        return self.space.nearest_params(TrialConfig().hyperparameters())

    @property
    def own_functions(self) -> list[str]:
        """Functions of the user's that trials may run, as ``module:function``."""
        return own_functions(
            value
            for name in ("architecture", "loss")
            if name in self.space
            for value in self.space[name].values() or ()
        )


def space_path(name: str) -> tuple[str, ...]:
    """Where a hyperparameter stands in a search-space file."""
    return ("space", *name.split(".", 1))


Disagreement = tuple[tuple[str, ...], str]
"""The path of a key, and what to do about it."""


def disagreements(study: StudyConfig) -> list[Disagreement]:
    """Settings that contradict one another."""
    found: list[Disagreement] = []
    objective, searcher = study.objective, study.searcher
    usual = DIRECTIONS[objective.metric]
    if objective.direction != usual:
        found.append(
            (
                ("objective", "direction"),
                f"{objective.direction} contradicts {objective.metric}, which is there to "
                f"{usual}; leave direction out",
            )
        )
    found += _about_scheduler(study)
    if searcher.startup_trials and searcher.name in ("random", "grid", "qmc"):
        found.append(
            (("searcher", "startup_trials"), f"{searcher.name} has no startup trials; leave it out")
        )
    found += _about_searcher(study)
    if any(name.startswith(OWN) for name in study.space) and not study.own_functions:
        message = "nothing reads them: neither architecture nor loss is a function of your own"
        found.append((("space", "own"), f"{message} (module:function)"))
    return found


def _about_scheduler(study: StudyConfig) -> list[Disagreement]:
    found: list[Disagreement] = []
    rule = study.scheduler
    if rule.name == "none" and rule.grace_period is not None:
        found.append((("scheduler", "grace_period"), "scheduler none stops no trial; leave it out"))
    if rule.name in ("none", "median") and rule.reduction_factor is not None:
        found.append((("scheduler", "reduction_factor"), f"{rule.name} has no rungs; leave it out"))
    if rule.grace_period is not None and rule.grace_period > study.budget.max_epochs:
        found.append(
            (
                ("scheduler", "grace_period"),
                f"{rule.grace_period} is above budget.max_epochs, which is "
                f"{study.budget.max_epochs}; no trial could be stopped early",
            )
        )
    return found


def _about_searcher(study: StudyConfig) -> list[Disagreement]:
    found: list[Disagreement] = []
    name = study.searcher.name
    for key, parameter in study.space.items():
        if name == "grid" and parameter.values() is None:
            found.append(
                (
                    space_path(key),
                    "a grid needs values to list, and this is a continuous range; use type choice, "
                    "give a step, or another searcher",
                )
            )
        if name == "cmaes" and isinstance(parameter, Choice):
            found.append((space_path(key), "cmaes cannot search a choice; use searcher tpe"))
        if name in ("cmaes", "gp") and parameter.when:
            found.append(
                (space_path(key), f"{name} cannot search a conditional parameter; use searcher tpe")
            )
    return found
