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
from handsigns.tuning import session as runner
from handsigns.tuning.task import TrialTask


def light(hold: Path) -> Callable[[dict[str, Any], TrialTask], None]:
    """A trial that is slow while there is a file; its process loads Ray Tune, but not torch."""

    def train_nothing(config: dict[str, Any], task: TrialTask) -> None:
        from ray import tune

        chance = random.Random(config["seed"])
        where = {"node": f"{socket.gethostname()}/{os.getpid()}", "device": "cpu", "threads": 1}
        for epoch in range(config["epochs"] + 1, task.max_epochs + 1):
            seconds = 1.0 if hold.exists() else 0.0
            time.sleep(seconds)
            loss, accuracy = chance.random(), chance.random()
            metrics = {
                "epoch": epoch, "train_loss": loss, "train_accuracy": accuracy, "val_loss": loss,
                "val_accuracy": accuracy, "best_val_accuracy": accuracy, "learning_rate": 0.001,
                "epoch_seconds": seconds,
            }  # fmt: skip
            tune.report(metrics | where)

    return train_nothing


if __name__ == "__main__":
    vars(runner)["run_trial"] = light(Path(sys.argv.pop(1)))
    sys.exit(main(sys.argv[1:]))
