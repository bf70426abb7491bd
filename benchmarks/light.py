"""The handsigns command line with no-op trials, to measure the overhead of a search.

    python benchmarks/light.py SLOW_MARKER search space.yaml --address HOST:6379 …

An epoch of such a trial takes a second while the file SLOW_MARKER exists, and no time otherwise.
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
from handsigns.tuning.protocol import TrialContext, TrialReport


def make_noop_trainable(slow_marker: Path) -> Callable[[dict[str, Any], TrialContext], None]:
    """Return a no-op trainable that is slow while a file exists; it imports Tune, not torch."""

    def noop_trial(config: dict[str, Any], context: TrialContext) -> None:
        from ray import tune

        spec = TrialSpec.from_dict(config)
        rng = random.Random(spec.seed)
        placement = Placement(f"{socket.gethostname()}/{os.getpid()}", "cpu", 1)
        for epoch in range(spec.epochs_done + 1, context.max_epochs + 1):
            seconds = 1.0 if slow_marker.exists() else 0.0
            time.sleep(seconds)
            loss, accuracy = rng.random(), rng.random()
            metrics = EpochMetrics(epoch, loss, accuracy, loss, accuracy, accuracy, 0.001, seconds)
            tune.report(TrialReport("epoch", metrics=metrics, placement=placement).to_dict())

    return noop_trial


if __name__ == "__main__":
    vars(session)["train_trial"] = make_noop_trainable(Path(sys.argv.pop(1)))
    sys.exit(main(sys.argv[1:]))
