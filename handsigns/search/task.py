"""What the trials of a search share, and the way into their processes.

Free of torch, which takes seconds to load: the trials' processes load it while the driver, which
does without, loads Ray Tune.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handsigns.config.own_code import OwnCode
from handsigns.data.splits import Split
from handsigns.search.repeats import Repeat


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
        checkpoints: folder of checkpoints, reachable from every node.
        own: the user's own code that may be run, with its source: a node needs no file of it.
        repeats_of: seed of the search whose trials are repeated; None where they are not, but new.
    """

    train: Split
    val: Split
    classes: int
    size: int
    max_epochs: int
    threads: int
    gpus: float
    checkpoints: Path
    own: OwnCode | None = None
    repeats_of: int | None = None

    def splits(self, trial_id: str) -> tuple[Split, Split]:
        """What a trial trains on, and what it is measured on."""
        if self.repeats_of is None:
            return self.train, self.val
        return Repeat.named(trial_id).splits(self.train, self.val, self.repeats_of)


def run_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train one configuration, in a process of Ray's."""
    from handsigns.search.trainable import train_trial

    train_trial(config, task)
