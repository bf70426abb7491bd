"""Ends the process of a trial that hangs; it goes on from its checkpoint, as after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback

from handsigns.cluster.ray_compat import actor_of
from handsigns.config.search import Faults
from handsigns.console.format import format_duration
from handsigns.io.throttle import Throttle
from handsigns.tuning.messages import TrialReport
from handsigns.tuning.not_pickled import NotPickled

_START_SECONDS = 60.0
"""What a trial may take beside, before its first report: a fresh process loads its libraries."""


class Watchdog(NotPickled, Callback):  # type: ignore[misc]
    """Looks for running trials that have not reported for longer than is allowed.

    Args:
        faults: how long that is.
        longest_epoch: of earlier sessions, in seconds; None where there was none.
        say: tells the user.
        end: ends the process of a trial, given Ray's handle of it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        faults: Faults,
        longest_epoch: float | None,
        say: Callable[[str], None],
        end: Callable[[Any], None] = ray.kill,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._faults = faults
        self._longest = longest_epoch
        self._say = say
        self._end = end
        self._clock = clock
        self._throttle = Throttle(interval_s=1.0, clock=clock)
        self._heard: dict[Any, float] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial is alive."""
        self._heard[trial] = self._clock()
        metrics = TrialReport.from_dict(result).metrics
        if metrics is not None:
            self._longest = max(self._longest or 0.0, metrics.epoch_seconds)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look, at most once a second."""
        if self._throttle.due:
            with self._throttle.work():
                self._look(trials)

    def _look(self, trials: list[Any]) -> None:
        now = self._clock()
        # A trial has a process from before it counts as running until it has ended.
        alive = [trial for trial in trials if actor_of(trial) is not None]
        self._heard = {t: self._heard.get(t, now + _START_SECONDS) for t in alive}
        allowed = self._faults.seconds_allowed(self._longest)
        for trial, heard in self._heard.items():
            if now - heard > allowed:
                self._heard[trial] = now
                self._say(
                    f"trial {trial.config['trial_id']} has reported nothing for "
                    f"{format_duration(round(allowed))}: its process is ended"
                )
                self._end(actor_of(trial))
