"""The way into a trial's process; the driver, which hands it to Ray, does without torch."""

from __future__ import annotations

from typing import Any

from handsigns.tuning.messages import TrialTask


def train_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train one trial, in a process of Ray's."""
    from handsigns.tuning.trainable import run_trial

    run_trial(config, task)
