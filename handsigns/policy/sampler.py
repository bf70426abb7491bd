"""Sampler of configurations: an Optuna study over the search space, fed with trial results.

It differs from Ray's OptunaSearch in two ways. A trial that was stopped early is reported to Optuna
as pruned with its intermediate values, not as complete, so its loss after one epoch is never
compared with one after forty. And each suggestion has its own seed, derived from its number: it
depends only on the search's seed and the results so far, so a resumed search makes exactly the
suggestions that an uninterrupted one would have made.
"""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.search import SearchConfig
from handsigns.io.digest import hash_to_int
from handsigns.policy.limited_space import LimitedSpace
from handsigns.policy.optuna_samplers import make_optuna_sampler
from handsigns.policy.optuna_space import suggest_params, to_excluded_trial, to_frozen_trial
from handsigns.policy.optuna_storage import PausedTrialsStorage
from handsigns.policy.untried import UntriedConfigs
from handsigns.results.events import TrialEnded
from handsigns.results.journal import Journal
from handsigns.results.trial import Params, TrialRecord, TrialSpec
from handsigns.results.warm_start import WarmStart

_STATEFUL_SAMPLERS = ("cmaes", "qmc")
"""Samplers with state beyond the trials; asking again in the same order rebuilds it."""
_MAX_ATTEMPTS = 32
"""Suggestions of the sampler, after which one is drawn at random: TPE repeats what is best."""
_MAX_RANDOM_ATTEMPTS = 1000
"""Random configurations after which a space that is not enumerated counts as exhausted."""
_MAX_OTHERS = 500
"""Number of trials that TPE reads beside the best; see the storage."""
_MAX_EXCLUDED = 128
"""Configurations beyond the limits that TPE is shown, at most half of them from a sample of the
space, the others from a warm start: enough to outline what is excluded."""


class Sampler:
    """Source of the configurations of a search; see `TrialSource`.

    Args:
        search_config: resolved configuration of the search.
        warm_start: trials and configurations of an earlier search.
        limited_space: the part of the space that is within the limits; None without limits.
    """

    def __init__(
        self,
        search_config: SearchConfig,
        warm_start: WarmStart | None = None,
        limited_space: LimitedSpace | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config, self._limited_space = search_config, limited_space
        self._storage = self._make_storage()
        self._optuna_study = optuna.create_study(
            storage=self._storage,
            study_name="search",  # Optuna's Hyperband assigns brackets by this name
            direction="minimize" if search_config.objective.minimize else "maximize",
        )
        self._running: dict[str, Trial] = {}
        self._tried_configs: set[TrialConfig] = set()
        self._num_suggested = 0
        self._exhausted = False
        self._untried = UntriedConfigs.of(search_config.space, limited_space)
        self._num_excluded = 0
        points = self._initial_points(warm_start.enqueued_params if warm_start else ())
        self._queue = deque(itertools.islice(points, search_config.budget.trials))
        if limited_space is not None and search_config.searcher.name == "tpe":
            for params in limited_space.excluded[: _MAX_EXCLUDED // 2]:
                self._exclude(params)
        for prior_trial in warm_start.prior_trials if warm_start else ():
            if self._allows(TrialConfig.from_params(prior_trial.params)):
                self._optuna_study.add_trial(to_frozen_trial(search_config, prior_trial))
            elif self._num_excluded < _MAX_EXCLUDED:
                self._exclude(prior_trial.params)

    @classmethod
    def from_journal(
        cls,
        search_config: SearchConfig,
        journal: Journal,
        warm_start: WarmStart | None = None,
        limited_space: LimitedSpace | None = None,
    ) -> Sampler:
        """Restore the sampler's state after the journal's last event.

        Trials that have not ended count as running.
        """
        sampler = cls(search_config, warm_start, limited_space)
        for event in journal.history:
            record = journal[event.trial_id]
            if isinstance(event, TrialEnded):
                sampler.on_trial_complete(record)
            else:
                sampler.restore_trial(record)
        for trial_id, epoch in journal.last_pauses().items():
            if not journal[trial_id].is_terminal:
                sampler.on_trial_pause(journal[trial_id], epoch)
        return sampler

    @property
    def remaining(self) -> int:
        """Number of trials still to suggest; 0 when every configuration has been tried."""
        return 0 if self._exhausted else max(0, self._config.budget.trials - self._num_suggested)

    def should_resume(self, trial_id: str) -> bool:
        """Return True: every unfinished trial of the search is resumed."""
        return True

    def suggest(self) -> TrialSpec | None:
        """Return a new trial; None when the budget or the search space is exhausted."""
        if not self.remaining:
            return None
        rejected: list[Trial] = []
        suggestion = None
        for attempt in range(self._max_attempts):
            if self._config.searcher.name == "grid" and not self._queue:
                break
            if attempt == _MAX_ATTEMPTS and self._untried:
                self._queue.append(self._untried.draw(f"{self._config.seed}/{self._num_suggested}"))
            trial, params = self._ask(attempt)
            config = TrialConfig.from_params(params)
            if self._can_start(config):
                suggestion = self._start(trial, params, config)
                break
            # Beyond the limits, or a duplicate, which has the same seed, hence the same result. It
            # counts as running during the next attempts, which then differ (constant liar).
            rejected.append(trial)
        for trial in rejected:
            self._optuna_study.tell(trial, state=TrialState.FAIL)
        if suggestion is None:
            self._exhausted = True
        return suggestion

    def on_trial_complete(self, record: TrialRecord) -> None:
        """Report a trial's result to Optuna."""
        trial = self._running.pop(record.trial_id)
        if record.status == "failed":
            self._optuna_study.tell(trial, state=TrialState.FAIL)
            return
        if record.status != "diverged":
            # A pruned trial without values ranks last, as a diverged one should.
            for metrics in record.epochs:
                trial.report(self._config.objective.value_of(metrics), metrics.epoch)
        if record.status == "completed":
            self._optuna_study.tell(trial, self._config.objective.value_of(record.epochs[-1]))
        else:
            self._optuna_study.tell(trial, state=TrialState.PRUNED)

    def on_trial_pause(self, record: TrialRecord, epoch: int) -> None:
        """Show the values of a trial up to the epoch of its pause to Optuna."""
        values = {
            metrics.epoch: self._config.objective.value_of(metrics)
            for metrics in record.epochs[:epoch]
        }
        self._storage.pause_trial(self._running[record.trial_id]._trial_id, values)

    def restore_trial(self, record: TrialRecord) -> None:
        """Add a trial of an earlier session to the study as if it had been suggested here."""
        trial = None
        if record.params in self._queue:
            self._queue.remove(record.params)
        elif self._config.searcher.name in _STATEFUL_SAMPLERS:
            trial = self._replay_ask(record)
        if trial is None:
            self._optuna_study.sampler = optuna.samplers.RandomSampler(seed=0)
            self._optuna_study.enqueue_trial(record.params)
            trial = self._optuna_study.ask()
            suggest_params(self._config, trial)
        self._register(trial, record.config)

    def _initial_points(self, enqueued: Iterable[Params]) -> Iterator[Params]:
        """Yield the configurations to try before Optuna is asked.

        These are the whole grid, or the baseline and those of the warm start.
        """
        points: Iterable[Params | None]
        if self._config.searcher.name == "grid":
            points = self._config.space.grid_params()
        else:
            baseline = self._config.baseline_params()
            wanted = [*([baseline] if baseline else []), *enqueued]
            space = self._limited_space
            points = wanted if space is None else [*map(space.nearest, wanted)]
        planned = set()
        for point in points:
            config = None if point is None else TrialConfig.from_params(point)
            if point and config and config not in planned and self._allows(config):
                planned.add(config)
                yield point

    def _allows(self, config: TrialConfig) -> bool:
        return self._limited_space is None or self._limited_space.allows(config)

    def _can_start(self, config: TrialConfig) -> bool:
        return config not in self._tried_configs and self._allows(config)

    @property
    def _max_attempts(self) -> int:
        return _MAX_ATTEMPTS + (1 if self._untried else _MAX_RANDOM_ATTEMPTS)

    def _exclude(self, params: Params) -> None:
        """Show Optuna a configuration beyond the limits, as one that is worse than all others."""
        self._optuna_study.add_trial(to_excluded_trial(self._config, params))
        self._num_excluded += 1

    def _ask(self, attempt: int) -> tuple[Trial, Params]:
        if self._queue:
            self._optuna_study.enqueue_trial(self._queue.popleft())
        return self._ask_optuna(attempt)

    def _ask_optuna(self, attempt: int) -> tuple[Trial, Params]:
        seed = hash_to_int(f"{self._config.seed}/{self._num_suggested}/{attempt}", size=4)
        with warnings.catch_warnings():
            # Optuna marks some samplers' options as experimental; they are used deliberately.
            warnings.simplefilter("ignore")
            self._optuna_study.sampler = (
                self._make_sampler(seed)
                if attempt < _MAX_ATTEMPTS
                else optuna.samplers.RandomSampler(seed=seed)
            )
            trial = self._optuna_study.ask()
            return trial, suggest_params(self._config, trial)

    def _make_sampler(self, seed: int) -> BaseSampler:
        num_ended = self._storage.num_ended() - self._num_excluded
        return make_optuna_sampler(self._config, seed, num_ended)

    def _make_storage(self) -> PausedTrialsStorage:
        return PausedTrialsStorage(_MAX_OTHERS if self._config.searcher.name == "tpe" else None)

    def _start(self, trial: Trial, params: Params, config: TrialConfig) -> TrialSpec:
        seed = trial_seed(self._config.seed, config)
        network = self._limited_space.profile(config) if self._limited_space else None
        return TrialSpec(self._register(trial, config), params, config, seed, network=network)

    def _register(self, trial: Trial, config: TrialConfig) -> str:
        trial_id = f"{self._num_suggested:04d}"
        self._num_suggested += 1
        self._tried_configs.add(config)
        if self._untried is not None:
            self._untried.remove(config)
            self._exhausted = not self._untried
        self._running[trial_id] = trial
        return trial_id

    def _replay_ask(self, record: TrialRecord) -> Trial | None:
        """Ask Optuna again for a recorded trial, which restores the sampler's internal state.

        Returns:
            The trial; None if the suggestion differs, say with another version of Optuna.
        """
        for attempt in range(_MAX_ATTEMPTS if self._untried else self._max_attempts):
            trial, params = self._ask_optuna(attempt)
            if params == record.params:
                return trial
            self._optuna_study.tell(trial, state=TrialState.FAIL)
            if self._can_start(TrialConfig.from_params(params)):
                return None
        return None
