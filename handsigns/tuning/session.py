"""Search session: Ray Tune runs the trials that a source suggests until a criterion stops it."""

from __future__ import annotations

import contextlib
from typing import Any, TextIO

from handsigns.cluster.mps import mps_daemon
from handsigns.cluster.session import ray_session, starts_local_ray
from handsigns.console.capture import redirect_output
from handsigns.errors import ResourceError, ResultsError
from handsigns.io.atomic import remove_temporary_files
from handsigns.io.remedies import os_error_remedy
from handsigns.io.storage import check_writable, storage_error_message
from handsigns.policy.stopping import ALL_DONE, EXHAUSTED, StoppingCriteria
from handsigns.results.background_sync import keep_synced
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.observer import Observer
from handsigns.results.remote_copies import configured_copy
from handsigns.results.trial import Session
from handsigns.tracking.background import tracking
from handsigns.tracking.base import TrackedSearch
from handsigns.tuning.checkpoint_retention import NUM_KEPT, CheckpointRetention
from handsigns.tuning.entry_point import train_trial
from handsigns.tuning.interrupts import handle_interrupts
from handsigns.tuning.protocol import TrialContext
from handsigns.tuning.recovery import (
    close_session,
    restore_stopping_criteria,
    start_session,
    trials_to_resume,
)
from handsigns.tuning.request import SearchRequest, SearchResult
from handsigns.tuning.table_writer import TableWriter


class SearchSession:
    """Session that runs or resumes a search and writes its tables."""

    def __init__(self, request: SearchRequest) -> None:
        self._request = request
        self._config, self._paths = request.config, request.paths
        self._remote_copy = configured_copy(request.config, request.paths)
        self._checkpoints = checkpoint_store(request.config, request.paths)
        self._stopping_criteria: StoppingCriteria | None = None

    def run(self) -> SearchResult:
        """Run the session to its end.

        Raises:
            ResourceError: a trial requests more than the machine or cluster has.
            ResultsError: results cannot be written; the search can be resumed.
        """
        try:
            with contextlib.ExitStack() as stack:
                self._check_storage()
                self._open_files(stack)
                self._start_ray(stack)
                self._restore_from_journal()
                self._start_observers(stack)
                self._run_tune()
                self._record_end()
        except OSError as error:
            if error.errno is None:
                raise  # not a file error but, say, a timeout of Ray's
            raise self._storage_error(str(error), os_error_remedy(error)) from error
        stopping = self._stopping
        if stopping.fatal_error is not None:
            raise self._storage_error(stopping.fatal_error, stopping.remedy)
        return SearchResult(self._journal.records, stopping.reason or "", stopping.interrupted)

    @property
    def _stopping(self) -> StoppingCriteria:
        assert self._stopping_criteria is not None, "set by _restore_from_journal"
        return self._stopping_criteria

    def _check_storage(self) -> None:
        """Check that the storage is writable and no other machine runs the search from it."""
        if self._config.storage is None:
            return
        try:
            if self._remote_copy is not None:
                self._remote_copy.ensure_not_running()
            self._checkpoints.storage.create()
            check_writable(self._checkpoints.storage)
        except OSError as error:
            raise ResourceError(storage_error_message(self._config.storage, error)) from error

    def _open_files(self, stack: contextlib.ExitStack) -> None:
        self._journal = Journal(self._paths.journal, writable=True)
        stack.callback(self._journal.close)
        self._tables: TableWriter | None = None
        if self._request.validate:
            self._tables = TableWriter(self._paths, self._journal, self._config.objective)
            stack.callback(self._tables.finish)
        remove_temporary_files(self._paths.root)
        self._checkpoints.storage.remove_temporary_files()
        self._terminal: TextIO = stack.enter_context(redirect_output(self._paths.ray_log))

    def _start_ray(self, stack: contextlib.ExitStack) -> None:
        """Start or join Ray, and allocate its resources to trials."""
        request = self._request
        in_store = request.data.train_val_nbytes
        if starts_local_ray(request.address):
            if request.data.split_files:
                in_store = 0  # trials map the files
            stack.enter_context(mps_daemon(self._config.resources, self._print_note))
        self._ray_session = stack.enter_context(
            ray_session(
                request.address,
                in_store,
                dashboard=request.dashboard,
                preload=("optuna", "ray.tune") if request.validate else ("ray.tune",),
            )
        )

        # This imports Ray, which reads its settings on import.
        from handsigns.cluster.allocation import allocate_on_cluster

        self._allocation, self._capacity = allocate_on_cluster(
            self._config,
            request.data,
            self._checkpoints,
            request.user_code,
            self._print_note,
            joined=self._ray_session.is_external,
            num_trials=None if request.validate else self._config.budget.trials,
            limited_space=request.limited_space,
        )

    def _print_note(self, note: str) -> None:
        print(f"note: {note}", file=self._terminal, flush=True)

    def _restore_from_journal(self) -> None:
        """Restore trial source, scheduler and stopping criteria from the journal."""
        from handsigns.tuning.scheduler import ReplayableScheduler, make_stopping_rule
        from handsigns.tuning.searcher import JournalSearcher

        request, journal, search_config = self._request, self._journal, self._config
        budget = search_config.budget
        session = Session(
            request.data.info.fingerprint,
            describe_environment(request.user_code),
            budget.trials,
            budget.time_budget,
        )
        start_session(journal, session, self._checkpoints)
        self._source = request.make_source(search_config, journal)
        rule = make_stopping_rule(search_config)
        self._scheduler = ReplayableScheduler(rule)
        self._scheduler.replay(journal.reports)
        max_epochs = search_config.budget.max_epochs
        to_resume = trials_to_resume(journal, self._source, rule, max_epochs)
        self._stopping_criteria = restore_stopping_criteria(search_config, journal)
        self._searcher = JournalSearcher(
            self._source, rule, journal, self._stopping, to_resume, self._capacity
        )

    def _start_observers(self, stack: contextlib.ExitStack) -> None:
        request, journal = self._request, self._journal
        self._display = request.make_display(self._terminal, self._config, journal, self._stopping)
        notify = self._display.print_message
        stack.enter_context(keep_synced(self._remote_copy, notify, self._stopping.abort))
        tracked_search = TrackedSearch(self._paths, self._config, request.data.info)
        self._trackers = stack.enter_context(
            tracking(tracked_search, request.trackers, journal, notify)
        )
        self._observers: list[Observer] = [self._stopping, self._display, self._trackers]
        if self._tables is not None:
            self._observers.append(self._tables)

    def _run_tune(self) -> None:
        """Run the trials with Ray Tune."""
        from handsigns.cluster.ray_compat import warm_actor_pool

        if self._ray_session.dashboard_notice:
            self._display.print_message(self._ray_session.dashboard_notice)
        self._display.print_message(
            f"{self._allocation}; Ray's own output goes to {self._paths.ray_log}"
        )
        tuner = self._make_tuner()
        interrupt_handler = handle_interrupts(
            self._stopping,
            self._terminal,
            self._paths.resume_command,
            exit_on_second=self._request.exit_on_second_interrupt,
        )
        pool = warm_actor_pool(self._searcher.free_workers)
        with interrupt_handler, pool, self._display.live_view():
            tuner.fit()

    def _make_tuner(self) -> Any:
        from ray import tune

        from handsigns.tuning.searcher import SearchStopper

        trainable = tune.with_parameters(train_trial, context=self._trial_context())
        return tune.Tuner(
            tune.with_resources(trainable, self._allocation.tune_resources),
            tune_config=tune.TuneConfig(
                num_samples=-1,  # unlimited: the source ends the search
                search_alg=self._searcher,
                scheduler=self._scheduler,
                reuse_actors=True,
                trial_dirname_creator=lambda t: f"{t.config['trial_id']}-{t.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(self._ray_session.scratch_dir.resolve()),
                stop=SearchStopper(self._stopping),
                callbacks=self._make_callbacks(),
                # Trials that lost their process are retried by the searcher, as after a resume.
                failure_config=tune.FailureConfig(max_failures=0),
                verbose=0,
                # Into the log file; in a notebook Ray would keep clearing the cell.
                progress_reporter=tune.CLIReporter(),
            ),
        )

    def _make_callbacks(self) -> list[Any]:
        from handsigns.tuning.callbacks import JournalCallback
        from handsigns.tuning.watchdog import Watchdog

        self._retention = CheckpointRetention(
            self._checkpoints,
            self._config.objective,
            self._journal.records,
            NUM_KEPT if self._request.validate else None,
        )
        recorder = JournalCallback(
            self._config, self._checkpoints, self._journal, self._source, self._scheduler,
            self._searcher, self._stopping, self._observers, self._retention,
        )  # fmt: skip
        longest_epoch = max((r.metrics.epoch_seconds for r in self._journal.reports), default=None)
        return [
            recorder,
            Watchdog(self._config.fault_tolerance, longest_epoch, self._display.print_message),
        ]

    def _trial_context(self) -> TrialContext:
        data = self._request.data
        files = None if self._ray_session.is_external else data.split_files
        train, val = files or (data.train, data.val)
        return TrialContext(
            train=train,
            val=val,
            validate=self._request.validate,
            num_classes=len(data.info.classes),
            image_size=data.info.size,
            max_epochs=self._config.budget.max_epochs,
            cpu_threads=self._allocation.threads,
            gpus=self._allocation.gpus_per_trial,
            checkpoints=self._checkpoints,
            user_code=self._request.user_code,
        )

    def _record_end(self) -> None:
        stopping = self._stopping
        if stopping.fatal_error is not None:
            return
        all_started = len(self._journal) >= self._config.budget.trials
        default_reason = ALL_DONE if all_started else EXHAUSTED
        stopping.reason = stopping.reason or default_reason
        ended = close_session(
            self._journal,
            self._tables,
            stopping.reason,
            self._config.budget.max_epochs,
            interrupted=stopping.interrupted,
        )
        for record in ended:
            self._retention.add(record)
            self._trackers.on_trial_end(record)

    def _storage_error(self, problem: str, remedy: str) -> ResultsError:
        if self._stopping_criteria is not None and self._stopping_criteria.fatal_error is not None:
            problem, remedy = self._stopping_criteria.fatal_error, self._stopping_criteria.remedy
        resume = f"{remedy[0].upper()}{remedy[1:]}; then resume with" if remedy else "Resume with"
        return ResultsError(
            f"the search was aborted, as results cannot be written: {problem}\n"
            f"results written so far are intact. {resume}: {self._paths.resume_command}"
        )
