"""Rate limit for recurring work, by interval and by fraction of the elapsed time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Throttle:
    """Rate limiter for recurring work.

    Attributes:
        min_interval_s: shortest pause between two runs, in seconds.
        max_time_share: largest fraction of the elapsed time that the work may take.
        max_interval_s: longest pause in seconds, whatever the work costs.
        clock: function that returns monotonic seconds.
    """

    min_interval_s: float = 0.0
    max_time_share: float = 1.0
    max_interval_s: float = math.inf
    clock: Callable[[], float] = time.monotonic
    _next: float = field(default=-math.inf, init=False)

    def pause_s(self, cost_s: float) -> float:
        """Return the pause in seconds after work that took `cost_s` seconds."""
        return min(self.max_interval_s, max(self.min_interval_s, cost_s / self.max_time_share))

    @property
    def due(self) -> bool:
        """Whether the pause is over; initially true."""
        return self.clock() >= self._next

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Time a piece of work; the pause starts when it ends."""
        started = self.clock()
        try:
            yield
        finally:
            finished = self.clock()
            self._next = finished + self.pause_s(finished - started)
