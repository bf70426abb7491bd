"""Choosing configurations: an Optuna study over the search space, told how each trial ended.

Two policies are ours, and both differ from Ray's own OptunaSearch. A trial that was stopped early
is told as pruned with its epochs' values, not as complete: the sampler then never takes the loss of
one epoch for that of forty. And each choice is seeded by its number, so that it depends on the seed
and on what is known at that moment alone: a resumed search chooses as an uninterrupted one would.
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
from handsigns.config.search import StudyConfig
from handsigns.io.digest import number_from
from handsigns.policy.optuna_space import draw_params, frozen_trial
from handsigns.results.events import TrialEnded
from handsigns.results.journal import Journal
from handsigns.results.trial import Params, TrialRecord, TrialSpec
from handsigns.results.warm_start import WarmStart

_STATEFUL = ("cmaes", "qmc")
"""Searchers that keep a state beside the trials; asked again in the same order, they rebuild it."""
_TRIES = 32
"""Choices in a row that repeat an earlier trial before the space counts as exhausted."""


class Sampler:
    """The configurations of one search, in order; see `TrialSource`.

    Args:
        study: the search, resolved.
        warm_start: what an earlier search has taught.
    """

    def __init__(self, study: StudyConfig, warm_start: WarmStart | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = study
        self._optuna = optuna.create_study(
            direction="minimize" if study.objective.minimize else "maximize"
        )
        self._open: dict[str, Trial] = {}
        self._seen: set[TrialConfig] = set()
        self._choices = 0
        self._exhausted = False
        self._planned = deque(self._plan(warm_start.first if warm_start else ()))
        for known in warm_start.known if warm_start else ():
            self._optuna.add_trial(frozen_trial(study, known))

    @classmethod
    def recalled(
        cls, study: StudyConfig, journal: Journal, warm_start: WarmStart | None = None
    ) -> Sampler:
        """Return the sampler as it was when the journal's last event was recorded; trials that have
        not ended count as running.
        """
        sampler = cls(study, warm_start)
        for event in journal.history:
            record = journal[event.trial_id]
            if isinstance(event, TrialEnded):
                sampler.finish(record)
            else:
                sampler.recall(record)
        return sampler

    @property
    def remaining(self) -> int:
        """How many more trials there are; none where every configuration has been tried."""
        return 0 if self._exhausted else max(0, self._study.budget.trials - self._choices)

    def owns(self, trial_id: str) -> bool:
        """Every trial of the search goes on."""
        return True

    def suggest(self) -> TrialSpec | None:
        """Return a new trial; None where there are enough, or every configuration was tried."""
        if not self.remaining:
            return None
        for attempt in range(_TRIES):
            if self._study.searcher.name == "grid" and not self._planned:
                break
            trial, params = self._ask(attempt)
            config = TrialConfig.from_params(params)
            if config not in self._seen:
                seed = trial_seed(self._study.seed, config)
                return TrialSpec(self._open_trial(trial, config), params, config, seed)
            # The same configuration has the same seed, hence the same outcome: time lost.
            self._optuna.tell(trial, state=TrialState.FAIL)
        self._exhausted = True
        return None

    def finish(self, record: TrialRecord) -> None:
        """Tell Optuna how a trial ended."""
        trial = self._open.pop(record.trial_id)
        if record.status == "failed":
            self._optuna.tell(trial, state=TrialState.FAIL)
            return
        if record.status != "diverged":
            # Without values a pruned trial ranks last, which is what one that diverged deserves.
            for metrics in record.epochs:
                trial.report(self._study.objective.of(metrics), metrics.epoch)
        if record.status == "completed":
            self._optuna.tell(trial, self._study.objective.of(record.epochs[-1]))
        else:
            self._optuna.tell(trial, state=TrialState.PRUNED)

    def recall(self, record: TrialRecord) -> None:
        """Put a trial of an earlier session into the study as if it had been chosen here."""
        trial = None
        if record.params in self._planned:
            self._planned.remove(record.params)
        elif self._study.searcher.name in _STATEFUL:
            trial = self._choose_again(record)
        if trial is None:
            self._optuna.sampler = optuna.samplers.RandomSampler(seed=0)
            self._optuna.enqueue_trial(record.params)
            trial = self._optuna.ask()
            draw_params(self._study, trial)
        self._open_trial(trial, record.config)

    def _plan(self, first: Iterable[Params]) -> Iterator[Params]:
        """Configurations to try before the sampler is asked: the recipe and an earlier search's
        best, or the whole grid.
        """
        points: Iterable[Params]
        if self._study.searcher.name == "grid":
            grid = self._study.space.grid()
            points = (
                self._active(dict(zip(grid, values, strict=True)))
                for values in itertools.product(*grid.values())
            )
        else:
            baseline = self._study.baseline_params()
            points = [*([baseline] if baseline else []), *first]
        planned = set()
        for point in points:
            config = TrialConfig.from_params(point)
            if config not in planned:
                planned.add(config)
                yield point

    def _active(self, params: Params) -> Params:
        kept: Params = {}
        for name in self._study.space:
            if self._study.space.active(name, kept):
                kept[name] = params[name]
        return kept

    def _ask(self, attempt: int) -> tuple[Trial, Params]:
        if self._planned:
            self._optuna.enqueue_trial(self._planned.popleft())
        return self._ask_optuna(attempt)

    def _ask_optuna(self, attempt: int) -> tuple[Trial, Params]:
        seed = number_from(f"{self._study.seed}/{self._choices}/{attempt}", size=4)
        with warnings.catch_warnings():
            # Optuna marks some samplers' options as experimental; they are chosen on purpose.
            warnings.simplefilter("ignore")
            self._optuna.sampler = _optuna_sampler(self._study, seed)
            trial = self._optuna.ask()
            return trial, draw_params(self._study, trial)

    def _open_trial(self, trial: Trial, config: TrialConfig) -> str:
        trial_id = f"{self._choices:04d}"
        self._choices += 1
        self._seen.add(config)
        self._open[trial_id] = trial
        return trial_id

    def _choose_again(self, record: TrialRecord) -> Trial | None:
        """Ask as at that time; None where the answer has become another, with other versions say.

        What a searcher knows beside the trials, such as where a sequence stands, is then as it was.
        """
        for attempt in range(_TRIES):
            trial, params = self._ask_optuna(attempt)
            if params == record.params:
                return trial
            self._optuna.tell(trial, state=TrialState.FAIL)
            if TrialConfig.from_params(params) not in self._seen:
                return None
        return None


def _optuna_sampler(study: StudyConfig, seed: int) -> BaseSampler:
    """Return the sampler of the search, as it chooses one configuration."""
    startup = study.searcher.startup_trials
    match study.searcher.name:
        case "tpe":
            # Jointly over all parameters, by group where some are conditional; running trials
            # count as poor, so that trials chosen at the same time keep apart.
            return optuna.samplers.TPESampler(
                n_startup_trials=startup,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=seed,
            )
        case "cmaes":
            return optuna.samplers.CmaEsSampler(n_startup_trials=startup, seed=seed)
        case "gp":
            return optuna.samplers.GPSampler(n_startup_trials=startup, seed=seed)
        case "qmc":
            # One scrambled sequence for the whole search, so the seed is the search's own.
            return optuna.samplers.QMCSampler(scramble=True, seed=study.seed)
        case _:
            return optuna.samplers.RandomSampler(seed=seed)
