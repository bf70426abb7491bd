"""The search itself: Ray Tune runs what the sampling chooses until the budget is used up."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handsigns.config.study import StudyConfig
from handsigns.data.open import DataSet
from handsigns.search.budget import Ending
from handsigns.search.cluster import Slots, ray_session, share_out
from handsigns.search.display import Display
from handsigns.search.journal import Journal
from handsigns.search.paths import SearchPaths
from handsigns.search.record import TrialRecord
from handsigns.search.tables import write_tables
from handsigns.search.task import TrialTask, run_trial
from handsigns.search.terminal import output_to

if TYPE_CHECKING:
    from handsigns.search.sampling import Sampling

PROCESS_RETRIES = 3
"""How often a trial whose process died is started anew from its checkpoint."""

_TABLES_EVERY_SECONDS = 10.0
_TABLES_SHARE = 0.02
"""Of the driver's time, at most, for writing tables."""


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
    study: StudyConfig, data: DataSet, paths: SearchPaths, address: str | None = None
) -> SearchOutcome:
    """Run a search, or go on with one that was broken off, and write its tables.

    Args:
        study: the search, resolved.
        data: its train and validation splits; the test split is not touched.
        paths: the folder of its results, where the journal may already hold trials.
        address: of a Ray cluster; None searches on this machine.

    Raises:
        ResourceError: a trial asks for more than the machine or cluster has.
    """
    with contextlib.ExitStack() as stack:
        journal = Journal(paths.journal, study.seed, writable=True)
        stack.callback(journal.close)
        stack.callback(write_tables, paths, journal, study.objective)
        terminal = stack.enter_context(output_to(paths.log))
        cpus, gpus = stack.enter_context(
            ray_session(address, data.train.images.nbytes + data.val.images.nbytes)
        )
        slots = share_out(study.resources, cpus, gpus)

        # These load Ray, which reads its settings then, and much else; `ray_session` has made the
        # settings and loads the rest while Ray starts.
        from handsigns.search.recorder import Recorder
        from handsigns.search.sampling import Sampling
        from handsigns.search.scheduler import RecordedScheduler, make_scheduler
        from handsigns.search.searcher import JournalSearcher

        sampling = Sampling(study, journal.records)
        scheduler = RecordedScheduler(make_scheduler(study))
        unfinished = _unfinished(journal, sampling, scheduler.recall(journal.reports))
        searcher = JournalSearcher(sampling, journal, unfinished, study.budget.trials)
        ending = Ending(study, journal.records, journal.elapsed)
        display = Display(terminal, study, journal, ending)
        tables = _TableWriter(study, paths, journal)
        recorder = Recorder(study, paths, journal, sampling, (ending, display, tables))
        tuner = _make_tuner(study, data, paths, slots, searcher, scheduler, recorder, ending)

        display.say(f"{slots}; Ray's own output goes to {paths.log}")
        with _interrupts(ending), display.shown():
            tuner.fit()
        for record in journal.records:
            if record.ended_at is None:
                journal.end(record.trial_id, "interrupted")
        journal.pause(ending.session_seconds)
    done = "all configurations were tried" if searcher.exhausted else "all trials are done"
    return SearchOutcome(journal.records, ending.reason or done, ending.by_user)


def _unfinished(journal: Journal, sampling: Sampling, stopped: set[str]) -> list[str]:
    """Trials to go on with; one that the scheduler had already stopped is ended instead."""
    trials = []
    for record in journal.records:
        if record.ended:
            continue
        if record.trial_id in stopped:
            sampling.finish(journal.end(record.trial_id, "stopped"))
        else:
            trials.append(record.trial_id)
    return trials


def _make_tuner(
    study: StudyConfig,
    data: DataSet,
    paths: SearchPaths,
    slots: Slots,
    searcher: Any,
    scheduler: Any,
    recorder: Any,
    ending: Ending,
) -> Any:
    from ray import tune

    from handsigns.search.stopper import EndingStopper

    task = TrialTask(
        train=data.train,
        val=data.val,
        classes=len(data.info.classes),
        size=data.info.size,
        max_epochs=study.budget.max_epochs,
        threads=slots.threads,
        gpus=slots.gpus,
        checkpoints=paths.checkpoints.resolve(),
    )
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, task=task), {"cpu": slots.cpus, "gpu": slots.gpus}
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            num_samples=study.budget.trials,
            search_alg=searcher,
            scheduler=scheduler,
            max_concurrent_trials=slots.count,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"{trial.config['trial_id']}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(paths.ray.resolve()),
            stop=EndingStopper(ending),
            callbacks=[recorder],
            failure_config=tune.FailureConfig(max_failures=PROCESS_RETRIES),
            verbose=0,
        ),
    )


class _TableWriter:
    """Keeps the tables of a running search up to date, at most every few seconds."""

    def __init__(self, study: StudyConfig, paths: SearchPaths, journal: Journal) -> None:
        self._study = study
        self._paths = paths
        self._journal = journal
        self._due = float("-inf")

    def trained(self, record: TrialRecord) -> None:
        """Epochs wait for the trial's end."""

    def ended(self, record: TrialRecord) -> None:
        """Write if the last time is long enough ago."""
        begun = time.monotonic()
        if begun > self._due:
            write_tables(self._paths, self._journal, self._study.objective)
            ended = time.monotonic()
            self._due = ended + max(_TABLES_EVERY_SECONDS, (ended - begun) / _TABLES_SHARE)


@contextlib.contextmanager
def _interrupts(ending: Ending) -> Iterator[None]:
    """Ctrl-C once ends the search in order; twice raises KeyboardInterrupt at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(*_: Any) -> None:
        if ending.by_user:
            raise KeyboardInterrupt
        ending.break_off()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
