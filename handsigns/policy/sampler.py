"""Choosing configurations: an Optuna study over the search space, told what each trial came to.

Two policies are ours, and both differ from Ray's own OptunaSearch. A trial that was stopped early
is told as pruned with its epochs' values, not as complete: the sampler then never takes the loss of
one epoch for that of forty. And each choice is seeded by its number, so that it depends on the seed
and on what is known at that moment alone: a resumed search chooses as one never broken off would.
"""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from handsigns.config.hyperparameters import Scalar, TrialConfig, trial_seed
from handsigns.config.search import StudyConfig
from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter, Uniform
from handsigns.io.digest import number_from
from handsigns.results.trial import NewTrial, TrialRecord
from handsigns.results.warm_start import KnownTrial, WarmStart

Params = dict[str, Scalar]

_STATEFUL = ("cmaes", "qmc")
"""Searchers that keep a state beside the trials; asked again in the same order, they rebuild it."""
_TRIES = 32
"""Choices in a row that repeat an earlier trial before the space counts as exhausted."""


class Sampling:
    """The configurations of one search, in order.

    Args:
        study: the search, resolved.
        turns: of earlier sessions: a trial each time one was chosen (False) or had ended (True), in
            that order. Trials that have not ended count as running.
        warm_start: what an earlier search has taught.
    """

    def __init__(
        self,
        study: StudyConfig,
        turns: Iterable[tuple[TrialRecord, bool]] = (),
        warm_start: WarmStart | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = study
        self._optuna = optuna.create_study(
            direction="minimize" if study.objective.minimize else "maximize"
        )
        self._open: dict[str, Trial] = {}
        self._seen: set[TrialConfig] = set()
        self._choices = 0
        self._planned = deque(self._plan(warm_start.first if warm_start else ()))
        for known in warm_start.known if warm_start else ():
            self._optuna.add_trial(_foreign(study, known))
        for record, ended in turns:
            if ended:
                self.finish(record)
            else:
                self._recall(record)

    def choose(self) -> NewTrial | None:
        """A new trial; None where every configuration has been tried."""
        for attempt in range(_TRIES):
            if self._study.searcher.name == "grid" and not self._planned:
                return None
            trial, params = self._ask(attempt)
            config = TrialConfig.from_params(params)
            if config not in self._seen:
                seed = trial_seed(self._study.seed, config)
                return NewTrial(self._open_trial(trial, config), params, seed, config)
            # The same configuration has the same seed, hence the same outcome: time lost.
            self._optuna.tell(trial, state=TrialState.FAIL)
        return None

    def finish(self, record: TrialRecord) -> None:
        """Tell the sampler what a trial came to."""
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
        return self._ask_sampler(attempt)

    def _ask_sampler(self, attempt: int) -> tuple[Trial, Params]:
        seed = _choice_seed(self._study.seed, self._choices, attempt)
        with warnings.catch_warnings():
            # Optuna marks some samplers' options as experimental; they are chosen on purpose.
            warnings.simplefilter("ignore")
            self._optuna.sampler = _make_sampler(self._study, seed)
            trial = self._optuna.ask()
            return trial, _draw(self._study, trial)

    def _open_trial(self, trial: Trial, config: TrialConfig) -> str:
        trial_id = f"{self._choices:04d}"
        self._choices += 1
        self._seen.add(config)
        self._open[trial_id] = trial
        return trial_id

    def _recall(self, record: TrialRecord) -> None:
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
            _draw(self._study, trial)
        self._open_trial(trial, record.config)

    def _choose_again(self, record: TrialRecord) -> Trial | None:
        """Ask as at that time; None where the answer has become another, with other versions say.

        What a searcher knows beside the trials, such as where a sequence stands, is then as it was.
        """
        for attempt in range(_TRIES):
            trial, params = self._ask_sampler(attempt)
            if params == record.params:
                return trial
            self._optuna.tell(trial, state=TrialState.FAIL)
            if TrialConfig.from_params(params) not in self._seen:
                return None
        return None


def _draw(study: StudyConfig, trial: Trial) -> Params:
    """The parameters of a trial: those that are active, in the order of the space."""
    params: Params = {}
    for name, parameter in study.space.items():
        if study.space.active(name, params):
            params[name] = _draw_one(name, parameter, trial)
    return params


def _foreign(study: StudyConfig, known: KnownTrial) -> FrozenTrial:
    """A trial of another search, as Optuna would have it had it been chosen here."""
    searched = {
        name: value
        for name, value in known.params.items()
        if not isinstance(study.space[name], Fixed)
    }
    state = TrialState.COMPLETE if known.completed else TrialState.PRUNED
    return optuna.trial.create_trial(
        state=state,
        params=searched,
        distributions={name: distribution(study.space[name]) for name in searched},
        value=known.values[-1] if known.completed else None,
        intermediate_values=dict(enumerate(known.values, 1)),
    )


def _draw_one(name: str, parameter: Parameter, trial: Trial) -> Scalar:
    if isinstance(parameter, Fixed):
        return parameter.value
    value: Scalar
    match distribution(parameter):
        case CategoricalDistribution(choices=choices):
            value = trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            value = trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            value = trial.suggest_float(name, low, high, step=step, log=log)
    return value


def distribution(parameter: Parameter) -> BaseDistribution:
    """The values among which Optuna chooses that of a parameter."""
    match parameter:
        case Choice():
            return CategoricalDistribution(parameter.choices)
        case Integer():
            return IntDistribution(parameter.low, parameter.high, parameter.log, parameter.step)
        case LogUniform():
            return FloatDistribution(parameter.low, parameter.high, log=True)
        case Uniform():
            return FloatDistribution(parameter.low, parameter.high, step=parameter.step)
    raise TypeError(f"{parameter} is not searched")


def _make_sampler(study: StudyConfig, seed: int) -> BaseSampler:
    """The sampler of the study's searcher, as it chooses one configuration."""
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
            # One scrambled sequence for the whole search, so the seed is the study's own.
            return optuna.samplers.QMCSampler(scramble=True, seed=study.seed)
        case _:
            return optuna.samplers.RandomSampler(seed=seed)


def _choice_seed(study_seed: int, choice: int, attempt: int) -> int:
    return number_from(f"{study_seed}/{choice}/{attempt}", size=4)
