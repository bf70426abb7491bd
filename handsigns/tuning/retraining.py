"""Retraining of a configuration with fresh seeds, run as trials of the same engine."""

from __future__ import annotations

import contextlib
import functools
import shutil
from dataclasses import dataclass

from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode
from handsigns.console.failure import parse_failure
from handsigns.data.dataset import DataSet
from handsigns.errors import ResultsError
from handsigns.monitor.retraining import RetrainingDisplay
from handsigns.policy.planned import PlannedSource
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.journal import Journal
from handsigns.results.retraining import RetrainingPaths, RetrainingPlan
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.tuning.recovery import planned_runs_config, prepare_runs
from handsigns.tuning.request import SearchRequest
from handsigns.tuning.session import SearchSession


@dataclass(frozen=True)
class RetrainingResult:
    """Result of a retraining.

    Attributes:
        runs: runs of the plan, in its order; of an interrupted one those that have started.
        seconds: seconds that all sessions took.
        interrupted: whether the user interrupted it; it can then be resumed.
    """

    runs: tuple[TrialRecord, ...]
    seconds: float
    interrupted: bool


def retrain(
    stored: StoredSearch,
    data: DataSet,
    plan: RetrainingPlan,
    paths: RetrainingPaths,
    *,
    address: str | None = None,
    user_code: UserCode | None = None,
    exit_on_second_interrupt: bool = False,
) -> RetrainingResult:
    """Train the plan's runs on train and validation split combined, several at once.

    Finished runs are kept, interrupted ones resumed, and failed ones restarted. On changed images
    all runs restart, and the earlier ones are archived. With another number of seeds than before,
    the runs may get another number of threads, which changes their last digits.

    Args:
        stored: the search, locked by this process.
        data: data set of the search.
        plan: runs to train.
        paths: files of the retraining; `discard_runs` removes them once the winner is written.
        address, user_code, exit_on_second_interrupt: see `SearchRequest`.

    Raises:
        ResultsError: a run failed; or see `SearchSession.run`.
        ResourceError: see `SearchSession.run`.
    """
    journal = prepare_runs(stored.config, paths, data.info.fingerprint, plan.run_ids)
    interrupted = False
    if not plan.finished(journal.records):
        request = SearchRequest(
            _retraining_config(stored.config, plan, address),
            data,
            paths,
            make_source=lambda _, journal: PlannedSource(
                plan.specs,
                started={run.trial_id for run in journal.records if run.status != "failed"},
            ),
            validate=False,
            make_display=functools.partial(RetrainingDisplay, plan=plan),
            address=address,
            user_code=user_code,
            exit_on_second_interrupt=exit_on_second_interrupt,
        )
        interrupted = SearchSession(request).run().interrupted
        journal = Journal(paths.journal)
    if not interrupted and not plan.finished(journal.records):
        raise _failure(plan, paths, journal)
    return RetrainingResult(tuple(plan.select(journal.records)), journal.elapsed, interrupted)


def discard_runs(stored: StoredSearch, paths: RetrainingPaths) -> None:
    """Remove the files of a retraining whose winner is written."""
    store = checkpoint_store(stored.config, paths)
    run_ids = [run.trial_id for run in Journal(paths.journal).records]
    with contextlib.suppress(OSError):  # the storage is out of reach, but the winner is written
        # The journal first: without it, runs whose checkpoints are gone are trained again.
        paths.journal.unlink(missing_ok=True)
        for run_id in run_ids:
            store.remove(run_id)
    shutil.rmtree(paths.root, ignore_errors=True)
    with contextlib.suppress(OSError):  # retrainings of other trials were interrupted
        paths.root.parent.rmdir()


def _retraining_config(
    search_config: SearchConfig, plan: RetrainingPlan, address: str | None
) -> SearchConfig:
    """Return the search's configuration without any limit but the epochs, for a retraining.

    The runs share all CPUs. Without a cluster they need nothing that this machine may lack.
    """
    resources: dict[str, object] = {"cpus_per_trial": "auto"}
    if address is None:
        resources |= {"accelerator_type": None, "mps": "off" if plan.seeds == 1 else "auto"}
        if search_config.resources.gpus_per_trial != 0:
            resources["gpus_per_trial"] = "auto"
    return planned_runs_config(search_config, plan.seeds).model_copy(
        update={"resources": search_config.resources.model_copy(update=resources)}
    )


def _failure(plan: RetrainingPlan, paths: RetrainingPaths, journal: Journal) -> ResultsError:
    failed = [run for run in plan.select(journal.records) if not plan.is_trained(run)]
    causes = [f"run {run.trial_id} failed: {parse_failure(run.error)}" for run in failed]
    return ResultsError(
        "\n".join(causes) + f"\nfull tracebacks: {paths.journal}; output of the processes: "
        f"{paths.ray_log}. The other seeds are kept; retry: {paths.resume_command}"
    )
