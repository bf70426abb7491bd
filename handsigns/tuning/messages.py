"""What the driver and the processes of trials tell each other.

Free of torch, which takes seconds to load: the trials' processes load it while the driver, which
does without, loads Ray Tune. What a trial is to train is a `TrialSpec` (results/trial.py).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from handsigns.config.user_code import OwnCode
from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.trial import Placement

_METRICS = tuple(field.name for field in fields(EpochMetrics))
_PLACEMENT = tuple(field.name for field in fields(Placement))

Kind = Literal["epoch", "note", "diverged", "failed", "storage_lost"]


@dataclass(frozen=True)
class TrialTask:
    """What all trials of a search share; Ray holds it once on each node.

    Attributes:
        train, val: the splits; their arrays are read-only and shared.
        classes: number of classes.
        size: height and width of the images in pixels.
        max_epochs: the full epoch budget.
        threads: CPU threads of a trial.
        gpus: share of GPUs of a trial.
        checkpoints: where they are kept, reachable from every node.
        own: the user's own code that may be run, with its source: a node needs no file of it.
    """

    train: Split
    val: Split
    classes: int
    size: int
    max_epochs: int
    threads: int
    gpus: float
    checkpoints: Checkpoints
    own: OwnCode | None = None


@dataclass(frozen=True)
class TrialReport:
    """What a trial reports.

    Attributes:
        kind: ``epoch`` ended; a ``note`` for the user; it ``diverged`` or ``failed``, which ends
            it; or the storage of its checkpoints is lost (``storage_lost``), which ends the search.
        text: the note, the reason, or the traceback.
        metrics: of the epoch; None for other kinds.
        placement: where the epoch was trained; None for other kinds.
    """

    kind: Kind
    text: str = ""
    metrics: EpochMetrics | None = None
    placement: Placement | None = None

    @property
    def is_last(self) -> bool:
        """Whether the trial reports nothing more after this."""
        return self.kind in ("diverged", "failed", "storage_lost")

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads back: flat, as Ray flattens what it hands to schedulers."""
        parts = [asdict(part) for part in (self.metrics, self.placement) if part is not None]
        return {"report": self.kind, "text": self.text} | dict(ChainMap(*parts))

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> TrialReport:
        """Read a report from one of Ray's results, which have keys of Ray's own, too."""
        kind: Kind = result["report"]
        if kind != "epoch":
            return cls(kind, result["text"])
        metrics = EpochMetrics(**{name: result[name] for name in _METRICS})
        placement = Placement(**{name: result[name] for name in _PLACEMENT})
        return cls(kind, result["text"], metrics, placement)
