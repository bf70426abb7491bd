"""The search itself: Ray Tune runs what the sampling chooses until the budget is used up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from handsigns.cluster.resources import Node, Room, Slots, nodes_of, share_out
from handsigns.cluster.session import ray_session
from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode
from handsigns.console.capture import output_to
from handsigns.data.dataset import DataSet
from handsigns.errors import ResourceError, ResultsError
from handsigns.io.atomic import sweep
from handsigns.io.storage import check_writable, unusable
from handsigns.io.throttle import Throttle
from handsigns.monitor.live import Display
from handsigns.policy.stopping import Ending
from handsigns.results.checkpoints import Checkpoints, checkpoints_of
from handsigns.results.environment import describe_environment
from handsigns.results.frames import write_parquet
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.reevaluation import RepeatSampling
from handsigns.results.sync import Mirror, kept_up, mirror_of
from handsigns.results.tables import write_tables
from handsigns.results.trial import Session, TrialRecord
from handsigns.tracking.base import TrackedSearch
from handsigns.tracking.worker import tracking
from handsigns.tuning.task import TrialTask, run_trial

if TYPE_CHECKING:
    from handsigns.policy.sampler import Sampling
    from handsigns.results.warm_start import WarmStart
    from handsigns.tuning.callbacks import Observer

INTERRUPTED = 130
"""Exit status of a command that the user broke off."""


@dataclass(frozen=True)
class SearchOutcome:
    """How a session of a search ended.

    Attributes:
        records: all trials, in the order they were begun.
        reason: why it ended, for the user.
        by_user: whether the user broke it off; the search can then be resumed.
    """

    records: list[TrialRecord]
    reason: str
    by_user: bool


def run_search(
    study: StudyConfig,
    data: DataSet,
    paths: SearchPaths,
    address: str | None = None,
    warm_start: WarmStart | None = None,
    dashboard: bool = False,
    own: OwnCode | None = None,
    exit_at_second_interrupt: bool = False,
    repeats: RepeatSampling | None = None,
) -> SearchOutcome:
    """Run a search, or go on with one that was broken off, and write its tables.

    Args:
        study: the search, resolved.
        data: its train and validation splits; the test split is not touched.
        paths: the folder of its results, where the journal may already hold trials.
        address: of a Ray cluster; None searches on this machine.
        warm_start: what an earlier search has taught; the same at each resume.
        dashboard: start Ray's dashboard, on loopback.
        own: the user's own code that trials may run.
        exit_at_second_interrupt: end the whole process when the user will not wait for the search
            to end in order; else KeyboardInterrupt is raised.
        repeats: trainings that are asked for in place of new trials.

    Raises:
        ResourceError: a trial asks for more than the machine or cluster has.
        ResultsError: results could no longer be written; what was written can be resumed.
    """
    ending: Ending | None = None
    try:
        with contextlib.ExitStack() as stack:
            mirror, checkpoints = mirror_of(study, paths), checkpoints_of(study, paths)
            _usable(study, mirror, checkpoints)
            journal = Journal(paths.journal, study.seed, writable=True)
            stack.callback(journal.close)
            tables = _TableWriter(study, paths, journal)
            stack.callback(tables.finish)
            sweep(paths.root)
            checkpoints.place.sweep()
            terminal = stack.enter_context(output_to(paths.log))
            ray = stack.enter_context(ray_session(address, data.trial_bytes, dashboard=dashboard))
            slots, room = _slots(
                study, data, checkpoints, own, terminal, joined=address is not None
            )

            # These load Ray, which reads its settings then, and much else; `ray_session` has made
            # the settings and loads the rest while Ray starts.
            from handsigns.policy.sampler import Sampling
            from handsigns.tuning.actor_pool import kept_for
            from handsigns.tuning.callbacks import Recorder
            from handsigns.tuning.scheduler import RecordedScheduler, make_scheduler
            from handsigns.tuning.searcher import JournalSearcher
            from handsigns.tuning.watchdog import Watchdog

            _open_session(checkpoints, journal, data, own)
            turns = [(journal[trial_id], ended) for trial_id, ended in journal.turns]
            sampling = repeats or Sampling(study, turns, warm_start)
            scheduler = RecordedScheduler(make_scheduler(study))
            stopped = scheduler.recall(journal.reports)
            unfinished = _unfinished(journal, sampling, stopped, study.budget.max_epochs)
            if repeats is not None:
                unfinished = [name for name in unfinished if name in repeats.names]
            done = [record for record, ended in turns if ended]
            ending = Ending(study, done, journal.elapsed, journal.concluded)
            journal.clock = ending.elapsed
            searcher = JournalSearcher(
                sampling, journal, ending, unfinished, study.budget.trials, room
            )
            display = Display(terminal, study, journal, ending)
            stack.enter_context(kept_up(mirror, display.say, ending.break_down))
            observers: list[Observer] = [ending, display, tables]
            if repeats is None:  # they are none of the search's trials, which the tools are told of
                tracked = TrackedSearch(paths, study, data.info)
                observers.append(stack.enter_context(tracking(tracked, journal, display.say)))
            recorder = Recorder(
                study, checkpoints, journal, sampling, scheduler, searcher, ending, observers
            )
            watchdog = Watchdog(study.faults, _longest_epoch(journal), display.say)
            tuner = _make_tuner(
                _task(study, data, checkpoints, slots, own), slots, searcher, scheduler,
                [recorder, watchdog], ending, ray.scratch,
            )  # fmt: skip

            if ray.dashboard:
                display.say(ray.dashboard)
            display.say(f"{slots}; Ray's own output goes to {paths.log}")
            interrupts = _interrupts(
                ending, terminal, paths.go_on, exit_at_second=exit_at_second_interrupt
            )
            with interrupts, kept_for(searcher.vacancies), display.shown():
                tuner.fit()
            if ending.broken is None:
                _close_session(journal, ending, tables, exhausted=searcher.exhausted)
    except OSError as error:
        if error.errno is None:
            raise  # a time limit of Ray's, say: nothing to do with files
        raise _unwritten(paths, (ending and ending.broken) or str(error)) from error
    if ending.broken is not None:
        raise _unwritten(paths, ending.broken)
    return SearchOutcome(journal.records, ending.reason or "", ending.by_user)


def conclude_search(study: StudyConfig, paths: SearchPaths, reason: str) -> SearchOutcome:
    """Write down the end of a search that was killed when nothing was left to be run.

    Raises:
        OSError: results cannot be written.
    """
    with contextlib.ExitStack() as stack:
        journal = Journal(paths.journal, study.seed, writable=True)
        stack.callback(journal.close)
        _interrupt_running(journal)
        _TableWriter(study, paths, journal).finish()
        journal.pause(reason, by_user=False)
    return SearchOutcome(journal.records, reason, by_user=False)


def _unwritten(paths: SearchPaths, problem: str) -> ResultsError:
    return ResultsError(
        f"the search ended, as results cannot be written: {problem}\n"
        f"what was written is whole. Make space, or make {paths.root} writable or put it back; "
        f"then go on with: {paths.go_on}"
    )


def _open_session(
    checkpoints: Checkpoints, journal: Journal, data: DataSet, own: OwnCode | None
) -> None:
    """Record on what, with what and where the search is run; on other data trials start over."""
    fingerprint = data.info.fingerprint
    changed = journal.sessions and journal.sessions[-1].fingerprint != fingerprint
    journal.open_session(Session(fingerprint, describe_environment(own)))
    for record in journal.records:
        if changed and not record.ended:
            journal.start_over(record.trial_id)
            checkpoints.remove(record.trial_id)


def _interrupt_running(journal: Journal) -> None:
    for record in journal.records:
        if record.ended_at is None:
            journal.end(record.trial_id, "interrupted")


def _close_session(
    journal: Journal, ending: Ending, tables: _TableWriter, *, exhausted: bool
) -> None:
    """What the journal says has ended has its tables: they come first, as we may be killed."""
    _interrupt_running(journal)
    tables.finish()
    done = "all configurations were tried" if exhausted else "all trials are done"
    ending.reason = ending.reason or done
    journal.pause(ending.reason, by_user=ending.by_user)


def _unfinished(
    journal: Journal, sampling: Sampling | RepeatSampling, stopped: set[str], max_epochs: int
) -> list[str]:
    """Trials to go on with; one whose end was decided, but not recorded any more, is ended."""
    trials = []
    for record in journal.records:
        if record.ended:
            continue
        if len(record.epochs) >= max_epochs:
            sampling.finish(journal.end(record.trial_id, "completed"))
        elif record.trial_id in stopped:
            sampling.finish(journal.end(record.trial_id, "stopped"))
        else:
            trials.append(record.trial_id)
    return trials


def _usable(study: StudyConfig, mirror: Mirror | None, checkpoints: Checkpoints) -> None:
    """See that checkpoints can be kept where they are to be, and by no one else.

    Raises:
        ResourceError: they cannot.
        ResultsError: another machine runs the search.
    """
    if study.storage is not None:
        try:
            if mirror is not None:
                mirror.refuse_running()
            checkpoints.place.prepare()
            check_writable(checkpoints.place)
        except OSError as error:
            raise ResourceError(unusable(study.storage, error)) from error


def _slots(
    study: StudyConfig,
    data: DataSet,
    checkpoints: Checkpoints,
    own: OwnCode | None,
    terminal: TextIO,
    *,
    joined: bool,
) -> tuple[Slots, Room]:
    """How trials share what there is, on nodes that can do what is asked of them."""
    import ray

    def nodes() -> list[Node]:
        return nodes_of(ray.nodes())

    def tell(note: str) -> None:
        print(f"note: {note}", file=terminal, flush=True)

    slots = share_out(study.resources, nodes(), growing=joined)
    if joined:
        from handsigns.cluster.preflight import check_nodes

        for note in check_nodes(checkpoints, slots):
            tell(note)
    if slots.gpus and study.resources.gpus_per_trial == "auto":
        from handsigns.cluster.gpu_sharing import trials_per_gpu

        tell("measuring how many trials share a GPU")
        per_gpu, note = trials_per_gpu(study, data, own, slots)
        slots = share_out(study.resources, nodes(), growing=joined, per_gpu=per_gpu)
        tell(note)
    return slots, Room(slots, study.resources, nodes if joined else None)


def _longest_epoch(journal: Journal) -> float | None:
    return max((metrics.epoch_seconds for _, metrics, _ in journal.reports), default=None)


def _task(
    study: StudyConfig, data: DataSet, checkpoints: Checkpoints, slots: Slots, own: OwnCode | None
) -> TrialTask:
    return TrialTask(
        train=data.train,
        val=data.val,
        study_seed=study.seed,
        classes=len(data.info.classes),
        size=data.info.size,
        max_epochs=study.budget.max_epochs,
        threads=slots.threads,
        gpus=slots.gpus,
        checkpoints=checkpoints,
        own=own,
    )


def _make_tuner(
    task: TrialTask,
    slots: Slots,
    searcher: Any,
    scheduler: Any,
    callbacks: list[Any],
    ending: Ending,
    books: Path,
) -> Any:
    from ray import tune

    from handsigns.tuning.stopper import EndingStopper

    trainable = tune.with_resources(tune.with_parameters(run_trial, task=task), slots.request)
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            num_samples=-1,  # the searcher knows when there are enough
            search_alg=searcher,
            scheduler=scheduler,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"{trial.config['trial_id']}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(books.resolve()),
            stop=EndingStopper(ending),
            callbacks=callbacks,
            # A trial that lost its process is taken up again by the searcher, as after a resume.
            failure_config=tune.FailureConfig(max_failures=0),
            verbose=0,
            # Into the log; in a notebook Ray would clear the cell, again and again, for its own.
            progress_reporter=tune.CLIReporter(),
        ),
    )


class _TableWriter:
    """Keeps the tables of a running search up to date, at most every few seconds."""

    def __init__(self, study: StudyConfig, paths: SearchPaths, journal: Journal) -> None:
        self._study = study
        self._paths = paths
        self._journal = journal
        self._throttle = Throttle(interval_s=10.0, share=0.02)
        self._finished = False

    def finish(self) -> None:
        """Write all tables for the last time, unless that is done."""
        if not self._finished:
            write_tables(self._paths, self._journal, self._study.objective)
            write_parquet(self._paths, self._journal)
            self._finished = True

    def trained(self, record: TrialRecord) -> None:
        """Epochs wait for the trial's end."""

    def noted(self, trial_id: str, note: str) -> None:
        """Not for the tables."""

    def lost(self, record: TrialRecord) -> None:
        """Waits for the trial's end, too."""

    def ended(self, record: TrialRecord) -> None:
        """Write if the last time is long enough ago."""
        if self._throttle.due:
            with self._throttle.work():
                write_tables(self._paths, self._journal, self._study.objective)


@contextlib.contextmanager
def _interrupts(
    ending: Ending, terminal: TextIO, go_on: str, *, exit_at_second: bool
) -> Iterator[None]:
    """Ctrl-C, or a request to terminate, ends the search in order; a second one, at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(*_: Any) -> None:
        if not ending.by_user:
            ending.break_off()
            return
        if not exit_at_second:
            raise KeyboardInterrupt
        # Ray's processes end with this one, and the journal has all that was reported.
        shown = "\x1b[?25h" if terminal.isatty() else ""  # the live display hides the cursor
        text = f"{shown}\ninterrupted; go on with: {go_on}\n"
        os.write(terminal.fileno(), text.encode())
        os._exit(INTERRUPTED)

    before = {kind: signal.signal(kind, on_interrupt) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
