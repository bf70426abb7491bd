"""Retraining without Ray: the journal and the checkpoints that its runs write."""

from __future__ import annotations

from collections.abc import Collection

import torch

from handsigns.data.dataset import DataSet
from handsigns.data.folds import concat_splits
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.journal import Journal
from handsigns.results.retraining import RetrainingPaths, RetrainingPlan
from handsigns.results.store import StoredSearch
from handsigns.results.trial import Placement, Session, TrialRecord
from handsigns.training.checkpoint import dump_checkpoint
from handsigns.training.state import TrainingPlan, TrainingState, init_state
from handsigns.training.train import train_epochs


def plan_of(search: StoredSearch, record: TrialRecord, seeds: int) -> RetrainingPlan:
    """Return the plan of a retraining."""
    return RetrainingPlan(record, search.config.seed, seeds, search.config.budget.max_epochs)


def train_directly(search: StoredSearch, data: DataSet, config, seed: int) -> TrainingState:
    """Train a configuration on train and validation split in this process, with one thread."""
    plan = TrainingPlan(
        config, len(data.info.classes), data.info.size, search.config.budget.max_epochs, seed,
        torch.device("cpu"),
    )  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    state = init_state(plan)
    list(train_epochs(state, concat_splits(data.train, data.val), None))
    torch.set_num_threads(threads)
    return state


def write_runs(
    search: StoredSearch,
    data: DataSet,
    plan: RetrainingPlan,
    *,
    diverged: Collection[int] = (),
    failed: Collection[int] = (),
    fingerprint: str | None = None,
) -> RetrainingPaths:
    """Train the runs of a retraining here, except those of the given numbers, and store them."""
    paths = RetrainingPaths.of_trial(
        search.paths, plan.record.trial_id, ("--seeds", str(plan.seeds))
    )
    paths.checkpoints.mkdir(parents=True)
    store = checkpoint_store(search.config, paths)
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session(fingerprint or data.info.fingerprint, {}))
    for number, spec in enumerate(plan.specs):
        journal.start_trial(spec)
        if number in failed:
            journal.end_trial(spec.trial_id, "failed", "Traceback\nRuntimeError: out of luck")
            continue
        state = train_directly(search, data, spec.config, spec.seed)
        store.save(spec.trial_id, dump_checkpoint(state))
        epochs = list(state.history)[:1] if number in diverged else state.history
        for metrics in epochs:
            journal.report_epoch(spec.trial_id, metrics, Placement("laptop/1", "cpu", 1))
        status = "diverged" if number in diverged else "completed"
        journal.end_trial(spec.trial_id, status, "the loss is not finite" * (number in diverged))
    journal.close()
    return paths
