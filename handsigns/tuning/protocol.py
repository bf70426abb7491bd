"""Messages between the driver and the processes of trials.

Free of torch, which takes seconds to load: the trials' processes load it while the driver, which
does not need it, loads Ray Tune. A trial's configuration is a `TrialSpec` (results/trial.py).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from handsigns.config.user_code import UserCode
from handsigns.data.cache import SplitFile
from handsigns.data.folds import Fold, concat_splits, training_splits
from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.trial import Placement

_METRICS = tuple(field.name for field in fields(EpochMetrics))
_PLACEMENT = tuple(field.name for field in fields(Placement))

ReportKind = Literal["epoch", "note", "diverged", "failed", "storage_lost"]


@dataclass(frozen=True)
class TrialContext:
    """Data and settings that all trials of a search share; Ray stores them once per node.

    Attributes:
        train, val: the splits, whose arrays are read-only and shared, or their files.
        validate: whether trials are validated, or train on both splits combined.
        num_classes: number of classes.
        image_size: height and width of the images in pixels.
        max_epochs: the full epoch budget.
        cpu_threads: number of CPU threads of a trial.
        gpus: number of GPUs of a trial, possibly a fraction.
        checkpoints: store of the checkpoints, accessible from every node.
        user_code: trusted user code, including its source, so that nodes need no file of it.
    """

    train: Split | SplitFile
    val: Split | SplitFile
    validate: bool
    num_classes: int
    image_size: int
    max_epochs: int
    cpu_threads: int
    gpus: float
    checkpoints: CheckpointStore
    user_code: UserCode | None = None

    def open_splits(self, fold: Fold | None) -> tuple[Split, Split | None]:
        """Return the training and the validation images of a trial; None without validation."""
        train, val = (
            split.open() if isinstance(split, SplitFile) else split
            for split in (self.train, self.val)
        )
        if not self.validate:
            return concat_splits(train, val), None
        return training_splits(fold, train, val)


@dataclass(frozen=True)
class TrialReport:
    """Report of a trial to the driver.

    Attributes:
        kind: ``epoch``, a finished epoch; ``note``, a note for the user; ``diverged`` or
            ``failed``, which end the trial; or ``storage_lost``, an inaccessible checkpoint
            storage, which ends the search.
        text: the note, the reason, or the traceback.
        metrics: metrics of the epoch; None for other kinds.
        placement: node and device of the epoch; None for other kinds.
    """

    kind: ReportKind
    text: str = ""
    metrics: EpochMetrics | None = None
    placement: Placement | None = None

    @property
    def is_final(self) -> bool:
        """Whether this is the last report of the trial."""
        return self.kind in ("diverged", "failed", "storage_lost")

    def to_dict(self) -> dict[str, Any]:
        """Return a flat dict for `from_dict`; Ray flattens results that it passes to schedulers."""
        parts = [asdict(part) for part in (self.metrics, self.placement) if part is not None]
        return {"report": self.kind, "text": self.text} | dict(ChainMap(*parts))

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> TrialReport:
        """Parse a report from a result of Ray, which has further keys."""
        kind: ReportKind = result["report"]
        if kind != "epoch":
            return cls(kind, result["text"])
        metrics = EpochMetrics(**{name: result[name] for name in _METRICS})
        placement = Placement(**{name: result[name] for name in _PLACEMENT})
        return cls(kind, result["text"], metrics, placement)
