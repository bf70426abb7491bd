"""Entry point of a trial's process, which the driver can import without torch."""

from __future__ import annotations

from typing import Any

from handsigns.tuning.protocol import TrialContext


def train_trial(config: dict[str, Any], context: TrialContext) -> None:
    """Train one trial in a Ray worker process."""
    from handsigns.tuning.trainable import run_trial

    run_trial(config, context)
