"""Ray's view of the sampling: a Searcher that hands out trials and hears how they ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune.search import Searcher

from handsigns.policy.sampler import Sampling
from handsigns.policy.stopping import Ending
from handsigns.results.journal import Journal
from handsigns.results.reevaluation import RepeatSampling
from handsigns.results.trial import NewTrial
from handsigns.tuning.not_pickled import DriverOnly


class JournalSearcher(DriverOnly, Searcher):  # type: ignore[misc]
    """Gives Ray the unfinished trials first, then new ones, and records each as it begins.

    Args:
        sampling: chooses new configurations.
        journal: where trials are recorded.
        ending: hears if that is no longer possible.
        unfinished: ids of trials of an earlier session to go on with.
        trials: how many trials the search has in all.
        room: tells for how many there is room at a time.
    """

    def __init__(
        self,
        sampling: Sampling | RepeatSampling,
        journal: Journal,
        ending: Ending,
        unfinished: Iterable[str],
        trials: int,
        room: Callable[[], int],
    ) -> None:
        super().__init__()
        self._sampling = sampling
        self._journal = journal
        self._ending = ending
        self._unfinished = deque(unfinished)
        self._trials = trials
        self._room = room
        self._live: set[str] = set()
        self._handed_out: set[str] = set()
        self.exhausted = False
        """Whether the space had fewer configurations than trials were asked for."""

    def take_up_again(self, trial_id: str) -> None:
        """Go on with a trial that lost its process, before any new one."""
        self._unfinished.append(trial_id)

    def vacancies(self) -> int:
        """How many trials would be handed out now."""
        new = 0 if self.exhausted else max(0, self._trials - len(self._journal))
        if self._ending.reason is not None:
            return 0
        return max(0, min(len(self._unfinished) + new, self._room() - len(self._live)))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's configuration for Ray; its own `trial_id` is Ray's and not kept."""
        if self._ending.due():
            return str(Searcher.FINISHED)
        if len(self._live) >= self._room():
            return None
        chosen = self._next()
        if chosen is None:
            # As long as one runs it may have to be taken up again.
            done = all(self._journal[trial_id].ended for trial_id in self._handed_out)
            return str(Searcher.FINISHED) if done else None
        with self._ending.writing():
            self._journal.begin(*chosen)
        if self._ending.broken is not None:
            return str(Searcher.FINISHED)
        record = self._journal[chosen.trial_id]
        self._handed_out.add(record.trial_id)
        self._live.add(trial_id)
        return {
            "trial_id": record.trial_id,
            "hyperparameters": record.config.hyperparameters(),
            "seed": record.seed,
            "epochs": len(record.epochs),
        }

    def _next(self) -> NewTrial | None:
        if self._unfinished:
            record = self._journal[self._unfinished.popleft()]
            return NewTrial(record.trial_id, record.params, record.seed, record.config)
        if self.exhausted or len(self._journal) >= self._trials:
            return None
        chosen = self._sampling.choose()
        self.exhausted = chosen is None
        return chosen

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """There is room again; the recorder tells the sampling, from the journal's record."""
        self._live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing here: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing here: the journal is the state."""
