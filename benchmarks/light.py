"""Our command line with trials that train nothing: what is left is what a search costs beside them.

    python benchmarks/light.py HOLD search space.yaml --address HOST:6379 …

An epoch of such a trial takes a second while there is a file HOLD, and no time when there is none.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handsigns.cli import main
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Placement, TrialSpec
from handsigns.tuning import session
from handsigns.tuning.messages import TrialReport, TrialTask


def light(hold: Path) -> Callable[[dict[str, Any], TrialTask], None]:
    """A trial that is slow while there is a file; its process loads Ray Tune, but not torch."""

    def train_nothing(config: dict[str, Any], task: TrialTask) -> None:
        from ray import tune

        spec = TrialSpec.from_dict(config)
        chance = random.Random(spec.seed)
        placement = Placement(f"{socket.gethostname()}/{os.getpid()}", "cpu", 1)
        for epoch in range(spec.epochs_done + 1, task.max_epochs + 1):
            seconds = 1.0 if hold.exists() else 0.0
            time.sleep(seconds)
            loss, accuracy = chance.random(), chance.random()
            metrics = EpochMetrics(epoch, loss, accuracy, loss, accuracy, accuracy, 0.001, seconds)
            tune.report(TrialReport("epoch", metrics=metrics, placement=placement).to_dict())

    return train_nothing


if __name__ == "__main__":
    vars(session)["train_trial"] = light(Path(sys.argv.pop(1)))
    sys.exit(main(sys.argv[1:]))
