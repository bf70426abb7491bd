"""A session of a search: Ray Tune runs what the trial source suggests until it is to end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from handsigns.cluster.session import ray_session
from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode
from handsigns.console.capture import output_to
from handsigns.data.dataset import DataSet
from handsigns.errors import ResourceError, ResultsError
from handsigns.io.atomic import sweep
from handsigns.io.remedies import remedy_for
from handsigns.io.storage import check_writable, unusable
from handsigns.monitor.live import Display
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.background_sync import kept_up
from handsigns.results.checkpoints import checkpoints_of
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.paths import SearchPaths
from handsigns.results.sync import mirror_of
from handsigns.results.trial import Session, TrialRecord
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.worker import tracking
from handsigns.tuning.interrupts import interrupts
from handsigns.tuning.messages import TrialTask
from handsigns.tuning.recovery import (
    close_session,
    open_session,
    recalled_criteria,
    unfinished_trials,
)
from handsigns.tuning.table_writer import TableWriter
from handsigns.tuning.task import train_trial

if TYPE_CHECKING:
    from handsigns.policy.source import TrialSource

SourceFactory = Callable[[StudyConfig, Journal], "TrialSource"]
"""Makes the trial source of a search, as it is after what the journal holds."""


@dataclass(frozen=True)
class SearchOutcome:
    """How a session of a search ended.

    Attributes:
        records: all trials, in the order they were started.
        reason: why it ended, for the user.
        by_user: whether the user interrupted it; the search can then be resumed.
    """

    records: list[TrialRecord]
    reason: str
    by_user: bool


@dataclass(frozen=True)
class SearchRequest:
    """What is searched, on what, and where.

    Attributes:
        study: the search, resolved.
        data: its train and validation splits; the test split is not touched.
        paths: the folder of its results, where the journal may already hold trials.
        source: makes the source of its trials.
        trackers: tools that follow it.
        address: of a Ray cluster; None searches on this machine.
        dashboard: start Ray's dashboard, on loopback.
        user_code: the user's own code that trials may run.
        exit_at_second_interrupt: end the whole process when the user will not wait for the search
            to end in order; else KeyboardInterrupt is raised.
    """

    study: StudyConfig
    data: DataSet
    paths: SearchPaths
    source: SourceFactory
    trackers: tuple[str, ...] = ()
    address: str | None = None
    dashboard: bool = False
    user_code: OwnCode | None = None
    exit_at_second_interrupt: bool = False


class SearchSession:
    """Runs a search, or resumes one that was interrupted, and writes its tables."""

    def __init__(self, request: SearchRequest) -> None:
        self._request = request
        self._study, self._paths = request.study, request.paths
        self._mirror = mirror_of(request.study, request.paths)
        self._checkpoints = checkpoints_of(request.study, request.paths)
        self._criteria: StoppingCriteria | None = None

    def run(self) -> SearchOutcome:
        """Run the session to its end.

        Raises:
            ResourceError: a trial asks for more than the machine or cluster has.
            ResultsError: results could no longer be written; what was written can be resumed.
        """
        try:
            with contextlib.ExitStack() as stack:
                self._check_storage()
                self._open_files(stack)
                self._start_ray(stack)
                self._replay_journal()
                self._start_observers(stack)
                self._train()
                self._conclude()
        except OSError as error:
            if error.errno is None:
                raise  # a time limit of Ray's, say: nothing to do with files
            raise self._unwritten(str(error), remedy_for(error)) from error
        stopping = self._stopping
        if stopping.fatal_error is not None:
            raise self._unwritten(stopping.fatal_error, stopping.remedy)
        return SearchOutcome(self._journal.records, stopping.reason or "", stopping.interrupted)

    @property
    def _stopping(self) -> StoppingCriteria:
        assert self._criteria is not None, "made as the journal is replayed"
        return self._criteria

    def _check_storage(self) -> None:
        """See that checkpoints can be kept where they are to be, and by no one else."""
        if self._study.storage is None:
            return
        try:
            if self._mirror is not None:
                self._mirror.refuse_running()
            self._checkpoints.place.prepare()
            check_writable(self._checkpoints.place)
        except OSError as error:
            raise ResourceError(unusable(self._study.storage, error)) from error

    def _open_files(self, stack: contextlib.ExitStack) -> None:
        self._journal = Journal(self._paths.journal, writable=True)
        stack.callback(self._journal.close)
        self._tables = TableWriter(self._paths, self._journal, self._study.objective)
        stack.callback(self._tables.finish)
        sweep(self._paths.root)
        self._checkpoints.place.sweep()
        self._terminal: TextIO = stack.enter_context(output_to(self._paths.log))

    def _start_ray(self, stack: contextlib.ExitStack) -> None:
        """Start or join Ray, and decide how trials share its nodes."""
        request = self._request
        self._ray = stack.enter_context(
            ray_session(
                request.address,
                request.data.trial_bytes,
                dashboard=request.dashboard,
                preload=("optuna", "ray.tune"),
            )
        )

        from handsigns.cluster.allocation import allocate  # loads Ray, which reads settings then

        self._slots, self._capacity = allocate(
            self._study,
            request.data,
            self._checkpoints,
            request.user_code,
            lambda note: print(f"note: {note}", file=self._terminal, flush=True),
            joined=self._ray.joined,
        )

    def _replay_journal(self) -> None:
        """Have source, scheduler and stopping criteria know what earlier sessions recorded."""
        from handsigns.tuning.scheduler import ReplayableScheduler, make_rule
        from handsigns.tuning.searcher import JournalSearcher

        request, journal, study = self._request, self._journal, self._study
        session = Session(request.data.info.fingerprint, describe_environment(request.user_code))
        open_session(journal, session, self._checkpoints)
        self._source = request.source(study, journal)
        self._scheduler = ReplayableScheduler(make_rule(study))
        stopped = self._scheduler.replay(journal.reports)
        unfinished = unfinished_trials(journal, self._source, stopped, study.budget.max_epochs)
        self._criteria = recalled_criteria(study, journal)
        self._searcher = JournalSearcher(
            self._source, journal, self._stopping, unfinished, self._capacity
        )

    def _start_observers(self, stack: contextlib.ExitStack) -> None:
        request, journal = self._request, self._journal
        self._display = Display(self._terminal, self._study, journal, self._stopping)
        say = self._display.say
        stack.enter_context(kept_up(self._mirror, say, self._stopping.abort))
        tracked = TrackedSearch(self._paths, self._study, request.data.info)
        trackers = stack.enter_context(tracking(tracked, request.trackers, journal, say))
        self._observers: list[Observer] = [self._stopping, self._display, self._tables, trackers]

    def _train(self) -> None:
        """Have Ray Tune run the trials."""
        from handsigns.cluster.ray_compat import warm_actor_pool

        if self._ray.dashboard:
            self._display.say(self._ray.dashboard)
        self._display.say(f"{self._slots}; Ray's own output goes to {self._paths.log}")
        tuner = self._tuner()
        interruptible = interrupts(
            self._stopping,
            self._terminal,
            self._paths.go_on,
            exit_at_second=self._request.exit_at_second_interrupt,
        )
        pool = warm_actor_pool(self._searcher.free_workers)
        with interruptible, pool, self._display.shown():
            tuner.fit()

    def _tuner(self) -> Any:
        from ray import tune

        from handsigns.tuning.searcher import SearchStopper

        trainable = tune.with_parameters(train_trial, task=self._task())
        return tune.Tuner(
            tune.with_resources(trainable, self._slots.request),
            tune_config=tune.TuneConfig(
                num_samples=-1,  # the source knows when there are enough
                search_alg=self._searcher,
                scheduler=self._scheduler,
                reuse_actors=True,
                trial_dirname_creator=lambda t: f"{t.config['trial_id']}-{t.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(self._ray.scratch.resolve()),
                stop=SearchStopper(self._stopping),
                callbacks=self._callbacks(),
                # A trial that lost its process is retried by the searcher, as after a resume.
                failure_config=tune.FailureConfig(max_failures=0),
                verbose=0,
                # Into the log; in a notebook Ray would clear the cell, again and again.
                progress_reporter=tune.CLIReporter(),
            ),
        )

    def _callbacks(self) -> list[Any]:
        from handsigns.tuning.callbacks import Recorder
        from handsigns.tuning.watchdog import Watchdog

        recorder = Recorder(
            self._study, self._checkpoints, self._journal, self._source, self._scheduler,
            self._searcher, self._stopping, self._observers,
        )  # fmt: skip
        longest = max((r.metrics.epoch_seconds for r in self._journal.reports), default=None)
        return [recorder, Watchdog(self._study.faults, longest, self._display.say)]

    def _task(self) -> TrialTask:
        data = self._request.data
        return TrialTask(
            train=data.train,
            val=data.val,
            classes=len(data.info.classes),
            size=data.info.size,
            max_epochs=self._study.budget.max_epochs,
            threads=self._slots.threads,
            gpus=self._slots.gpus,
            checkpoints=self._checkpoints,
            own=self._request.user_code,
        )

    def _conclude(self) -> None:
        stopping = self._stopping
        if stopping.fatal_error is not None:
            return
        enough = len(self._journal) >= self._study.budget.trials
        done = "all trials are done" if enough else "all configurations were tried"
        stopping.reason = stopping.reason or done
        close_session(self._journal, self._tables, stopping.reason, by_user=stopping.interrupted)

    def _unwritten(self, problem: str, remedy: str) -> ResultsError:
        if self._criteria is not None and self._criteria.fatal_error is not None:
            problem, remedy = self._criteria.fatal_error, self._criteria.remedy
        first = f"{remedy[0].upper()}{remedy[1:]}; then go on with" if remedy else "Go on with"
        return ResultsError(
            f"the search ended, as results cannot be written: {problem}\n"
            f"what was written is whole. {first}: {self._paths.go_on}"
        )
