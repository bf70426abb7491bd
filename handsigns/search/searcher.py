"""Ray's view of the sampling: a Searcher that hands out trials and hears how they ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ray.tune.search import Searcher

from handsigns.search.driver_only import DriverOnly
from handsigns.search.journal import Journal
from handsigns.search.sampling import Sampling


class JournalSearcher(DriverOnly, Searcher):  # type: ignore[misc]
    """Gives Ray the unfinished trials first, then new ones, and records each as it begins.

    Args:
        sampling: chooses new configurations.
        journal: where trials are recorded.
        unfinished: ids of trials of an earlier session to go on with.
        trials: how many trials the search has in all.
    """

    def __init__(
        self, sampling: Sampling, journal: Journal, unfinished: Iterable[str], trials: int
    ) -> None:
        super().__init__()
        self._sampling = sampling
        self._journal = journal
        self._unfinished = deque(unfinished)
        self._trials = trials
        self.exhausted = False
        """Whether the space had fewer configurations than trials were asked for."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's configuration for Ray; its own `trial_id` is Ray's and not kept."""
        if self._unfinished:
            ours = self._unfinished.popleft()
            params = self._journal[ours].params
        elif len(self._journal) >= self._trials:
            return str(Searcher.FINISHED)
        else:
            chosen = self._sampling.choose()
            if chosen is None:
                self.exhausted = True
                return str(Searcher.FINISHED)
            ours, params = chosen
        record = self._journal.begin(ours, params)
        return {"trial_id": ours, "params": record.params, "seed": record.seed}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing here: the recorder tells the sampling, from the journal's record."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing here: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing here: the journal is the state."""
