"""What the trials of a search share, and the way into their processes.

Free of torch, which takes seconds to load: the trials' processes load it while the driver, which
does without, loads Ray Tune.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handsigns.config.user_code import OwnCode
from handsigns.data.splits import Split
from handsigns.results.checkpoints import Checkpoints


@dataclass(frozen=True)
class TrialTask:
    """What all trials of a search share; Ray holds it once on each node.

    Attributes:
        train, val: the splits; their arrays are read-only and shared.
        study_seed: of the search.
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
    study_seed: int
    classes: int
    size: int
    max_epochs: int
    threads: int
    gpus: float
    checkpoints: Checkpoints
    own: OwnCode | None = None


def run_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train one configuration, in a process of Ray's."""
    from handsigns.tuning.trainable import train_trial

    train_trial(config, task)
