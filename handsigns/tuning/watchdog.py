"""Watchdog that kills hung trials; they resume from their checkpoints, as after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback

from handsigns.cluster.ray_compat import get_actor
from handsigns.config.execution import FaultTolerance
from handsigns.console.format import format_duration
from handsigns.io.throttle import Throttle
from handsigns.tuning.not_pickled import NotPickled
from handsigns.tuning.protocol import TrialReport

_STARTUP_GRACE_S = 60.0
"""Additional time before a trial's first report, as a new process imports its libraries."""
_STANDSTILL_S = 30.0
"""Time between two checks from which this process is taken to have stood still itself."""


class Watchdog(NotPickled, Callback):  # type: ignore[misc]
    """Callback that kills trials that have not reported within a timeout.

    The time in which this process itself stood still does not count.

    Args:
        fault_tolerance: settings with the timeout.
        longest_epoch: longest epoch of earlier sessions, in seconds; None if there was none.
        notify: prints a message for the user.
        kill: kills the process of a trial, given its actor handle.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        fault_tolerance: FaultTolerance,
        longest_epoch: float | None,
        notify: Callable[[str], None],
        kill: Callable[[Any], None] = ray.kill,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fault_tolerance = fault_tolerance
        self._longest_epoch = longest_epoch
        self._notify = notify
        self._kill = kill
        self._clock = clock
        self._throttle = Throttle(min_interval_s=1.0, clock=clock)
        self._last_report_at: dict[Any, float] = {}
        self._last_check_at = clock()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Record that a trial is alive, and how long its epoch took."""
        self._last_report_at[trial] = self._clock()
        metrics = TrialReport.from_dict(result).metrics
        if metrics is not None:
            self._longest_epoch = max(self._longest_epoch or 0.0, metrics.epoch_seconds)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Check for hung trials, at most once a second."""
        if self._throttle.due:
            with self._throttle.measure():
                self._kill_hung_trials(trials)

    def _kill_hung_trials(self, trials: list[Any]) -> None:
        now = self._clock()
        # After a standstill, as of a paused container, reports are still waiting to be handled.
        elapsed, self._last_check_at = now - self._last_check_at, now
        if elapsed > _STANDSTILL_S:
            self._last_report_at = {t: at + elapsed for t, at in self._last_report_at.items()}
        # A trial has an actor from before its status is RUNNING until it has ended.
        alive = [trial for trial in trials if get_actor(trial) is not None]
        self._last_report_at = {
            t: self._last_report_at.get(t, now + _STARTUP_GRACE_S) for t in alive
        }
        timeout = self._fault_tolerance.hang_timeout(self._longest_epoch)
        for trial, last_report in self._last_report_at.items():
            if now - last_report > timeout:
                self._last_report_at[trial] = now
                self._notify(
                    f"trial {trial.config['trial_id']} has not reported for "
                    f"{format_duration(round(timeout))}; killing its process"
                )
                self._kill(get_actor(trial))
