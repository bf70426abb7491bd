"""Choosing configurations: an Optuna study over the search space, told what each trial came to.

Two policies are ours, and both differ from Ray's own OptunaSearch. A trial that was stopped early
is told as pruned with its epochs' values, not as complete: the sampler then never takes the loss of
one epoch for that of forty. And each choice is seeded by its number, so that it depends on the seed
and on what is known at that moment alone: a resumed search chooses as one never broken off would.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter
from handsigns.config.study import StudyConfig
from handsigns.config.trial import Scalar, TrialConfig
from handsigns.search.record import TrialRecord

Params = dict[str, Scalar]

_TRIES = 32
"""Choices in a row that repeat an earlier trial before the space counts as exhausted."""


class Sampling:
    """The configurations of one search, in order.

    Args:
        study: the search, resolved.
        known: trials of earlier sessions, in the order they were begun; unfinished ones count as
            running.
    """

    def __init__(self, study: StudyConfig, known: Iterable[TrialRecord] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = study
        self._optuna = optuna.create_study(
            direction="minimize" if study.objective.minimize else "maximize"
        )
        self._open: dict[str, Trial] = {}
        self._seen: set[TrialConfig] = set()
        self._choices = 0
        for record in known:
            self._recall(record)
        self._planned = deque(self._plan())

    def choose(self) -> tuple[str, Params] | None:
        """A new trial's id and parameters; None where every configuration has been tried."""
        for attempt in range(_TRIES):
            if self._study.searcher.name == "grid" and not self._planned:
                return None
            trial, params = self._ask(attempt)
            config = TrialConfig.from_params(params)
            if config not in self._seen:
                return self._open_trial(trial, config), params
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
                trial.report(getattr(metrics, self._study.objective.metric), metrics.epoch)
        if record.status == "completed":
            self._optuna.tell(trial, getattr(record.epochs[-1], self._study.objective.metric))
        else:
            self._optuna.tell(trial, state=TrialState.PRUNED)

    def _plan(self) -> Iterator[Params]:
        """Configurations to try before the sampler is asked: the baseline, or the whole grid."""
        if self._study.searcher.name == "grid":
            grid = self._study.space.grid()
            for values in itertools.product(*grid.values()):
                point = dict(zip(grid, values, strict=True))
                if TrialConfig.from_params(self._active(point)) not in self._seen:
                    yield point
        elif self._choices == 0:
            baseline = self._study.baseline_params()
            if baseline is not None:
                yield baseline

    def _active(self, params: Params) -> Params:
        kept: Params = {}
        for name in self._study.space:
            if self._study.space.active(name, kept):
                kept[name] = params[name]
        return kept

    def _ask(self, attempt: int) -> tuple[Trial, Params]:
        seed = _choice_seed(self._study.seed, self._choices, attempt)
        with warnings.catch_warnings():
            # Optuna marks some samplers' options as experimental; they are chosen on purpose.
            warnings.simplefilter("ignore")
            self._optuna.sampler = _make_sampler(self._study, seed)
            if self._planned:
                self._optuna.enqueue_trial(self._planned.popleft())
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
        self._optuna.sampler = optuna.samplers.RandomSampler(seed=0)
        self._optuna.enqueue_trial(record.params)
        trial = self._optuna.ask()
        _draw(self._study, trial)
        self._choices = int(record.trial_id)
        self._open_trial(trial, record.config)
        if record.ended:
            self.finish(record)


def _draw(study: StudyConfig, trial: Trial) -> Params:
    """The parameters of a trial: those that are active, in the order of the space."""
    params: Params = {}
    for name, parameter in study.space.items():
        if study.space.active(name, params):
            params[name] = _draw_one(name, parameter, trial)
    return params


def _draw_one(name: str, parameter: Parameter, trial: Trial) -> Scalar:
    match parameter:
        case Fixed():
            return parameter.value
        case Choice():
            chosen: Scalar = trial.suggest_categorical(name, parameter.choices)
            return chosen
        case Integer():
            return int(
                trial.suggest_int(
                    name, parameter.low, parameter.high, step=parameter.step, log=parameter.log
                )
            )
        case LogUniform():
            return float(trial.suggest_float(name, parameter.low, parameter.high, log=True))
        case _:
            return float(
                trial.suggest_float(name, parameter.low, parameter.high, step=parameter.step)
            )


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
    text = f"{study_seed}/{choice}/{attempt}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
