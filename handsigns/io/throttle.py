"""How often repeated work is done: at most every so many seconds, and for a share of the time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Throttle:
    """Spaces out work that costs time.

    Attributes:
        interval_s: shortest pause between two pieces of work.
        share: of the time, at most, that the work takes.
        longest_s: longest pause, whatever the work costs.
        clock: monotonic seconds.
    """

    interval_s: float = 0.0
    share: float = 1.0
    longest_s: float = math.inf
    clock: Callable[[], float] = time.monotonic
    _next: float = field(default=-math.inf, init=False)

    def pause_s(self, cost_s: float) -> float:
        """Return the pause after a piece of work that took `cost_s` seconds."""
        return min(self.longest_s, max(self.interval_s, cost_s / self.share))

    @property
    def due(self) -> bool:
        """Whether the pause is over; at first, at once."""
        return self.clock() >= self._next

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Measure a piece of work; the pause begins as it ends."""
        begun = self.clock()
        try:
            yield
        finally:
            ended = self.clock()
            self._next = ended + self.pause_s(ended - begun)
