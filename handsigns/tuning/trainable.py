"""Training of one trial in a Ray worker: each epoch is trained, checkpointed and reported."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from ray import tune

from handsigns.data.splits import Split
from handsigns.io.throttle import Throttle
from handsigns.models import inference_model
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.predictions import MAX_PREDICTIONS, dump_predictions
from handsigns.results.trial import Placement, TrialSpec
from handsigns.training.checkpoint import CheckpointError, dump_checkpoint, load_checkpoint
from handsigns.training.device import describe_device, pick_device, release_gpu_memory
from handsigns.training.evaluate import predict_probabilities
from handsigns.training.state import TrainingPlan, TrainingState, init_state
from handsigns.training.step import eager_reason
from handsigns.training.train import DivergedError, train_epochs
from handsigns.tuning.protocol import TrialContext, TrialReport

_MAX_SAVE_FAILURES = 5
"""Consecutive failures to save to a remote store after which it counts as lost."""


def run_trial(config: dict[str, Any], context: TrialContext) -> None:
    """Train one configuration, from its latest checkpoint if there is one.

    A divergence or an error is reported, not raised: a retry would end the same way. Only a trial
    whose process dies is retried.
    """
    torch.set_num_threads(context.cpu_threads)
    # Ray stops a trial by raising SystemExit from `report`, which no `except Exception` catches.
    try:
        with release_gpu_memory():
            _train_and_report(TrialSpec.from_dict(config), context)
    except DivergedError as error:
        _report(TrialReport("diverged", str(error)))
    except _StorageLostError as error:
        _report(TrialReport("storage_lost", str(error)))
    except Exception:
        _report(TrialReport("failed", traceback.format_exc()))


def _train_and_report(spec: TrialSpec, context: TrialContext) -> None:
    plan = TrainingPlan(
        config=spec.config,
        num_classes=context.num_classes,
        image_size=context.image_size,
        max_epochs=context.max_epochs,
        seed=spec.seed,
        device=pick_device(context.gpus),
        user_code=context.user_code,
    )
    placement = _placement(plan.device, context.cpu_threads)
    state = _restore_or_init_state(context.checkpoints, spec, plan)
    # Earlier reports may be lost with the process that trained, or with the driver.
    for metrics in state.history:
        if metrics.epoch > spec.epochs_done:
            _report(TrialReport("epoch", metrics=metrics, placement=placement))
    # Epochs that are retrained because a checkpoint was lost are ignored by the driver.
    saver = _CheckpointSaver(context.checkpoints, spec.trial_id)
    train, val = context.open_splits(spec.fold)
    for metrics in train_epochs(state, train, val):
        if val is not None and state.epoch >= plan.max_epochs:
            # Before the checkpoint: once that exists, no epoch is trained again.
            saver.save_predictions(state, val)
        saver.save(state)
        if state.execution != placement.execution:
            placement = replace(placement, execution=state.execution)
            _, _, reason = state.execution.partition("eager: ")
            if reason and not eager_reason(plan):
                _report(TrialReport("note", f"trains without CUDA graphs: {reason}"))
        _report(TrialReport("epoch", metrics=metrics, placement=placement))


def _report(report: TrialReport) -> None:
    tune.report(report.to_dict())


class _CheckpointSaver:
    """Saver of a checkpoint after each epoch, and of the predictions after the last.

    In a remote store it saves less often where saving takes long compared to training; the epochs
    since the last checkpoint are retrained if the process dies.
    """

    def __init__(self, checkpoints: CheckpointStore, trial_id: str) -> None:
        self._checkpoints = checkpoints
        self._trial_id = trial_id
        self._throttle = Throttle(max_time_share=0.05)  # of a trial's time, with a remote store
        self._save_failures = 0

    def save(self, state: TrainingState) -> None:
        """Save a checkpoint if one is due, and always after the last epoch."""
        must_save = self._checkpoints.storage.is_filesystem or state.epoch >= state.plan.max_epochs
        if not must_save and not self._throttle.due:
            return
        try:
            with self._throttle.measure():
                self._checkpoints.save(self._trial_id, dump_checkpoint(state))
            self._save_failures = 0
        except OSError as error:
            self._save_failures += 1
            if self._checkpoints.storage.is_filesystem or self._save_failures >= _MAX_SAVE_FAILURES:
                raise _StorageLostError(f"{error} (on {socket.gethostname()})") from error
            _report(
                TrialReport("note", f"cannot save its checkpoint, retrying after an epoch: {error}")
            )

    def save_predictions(self, state: TrainingState, val: Split) -> None:
        """Save the predictions of the validation images, unless these are very many."""
        plan = state.plan
        if len(val) * plan.num_classes > MAX_PREDICTIONS:
            return
        model = inference_model(state.eval_model, plan.config)
        probs = predict_probabilities(model, val, plan.device)
        try:
            self._checkpoints.save_predictions(self._trial_id, dump_predictions(probs, val))
        except OSError as error:
            if self._checkpoints.storage.is_filesystem:
                raise _StorageLostError(f"{error} (on {socket.gethostname()})") from error
            _report(TrialReport("note", f"cannot save its predictions: {error}"))


class _StorageLostError(Exception):
    """Failure to read or write checkpoints, which aborts the whole search, not just the trial."""


def _restore_or_init_state(
    checkpoints: CheckpointStore, spec: TrialSpec, plan: TrainingPlan
) -> TrainingState:
    """Restore the latest intact checkpoint with all unrecorded epochs, or a new state."""
    for name, data in _stored_checkpoints(checkpoints, spec.trial_id):
        try:
            state = load_checkpoint(data, plan, name)
        except CheckpointError as error:
            fallback = "falling back to an earlier checkpoint, or to a restart of the trial"
            _report(TrialReport("note", f"{error}; {fallback}"))
            continue
        if not state.history or state.history[0].epoch <= spec.epochs_done + 1:
            return state
    return init_state(plan)


def _stored_checkpoints(checkpoints: CheckpointStore, trial_id: str) -> Iterator[tuple[str, bytes]]:
    try:
        yield from checkpoints.load_all(trial_id)
    except OSError as error:
        raise _StorageLostError(f"{error} (on {socket.gethostname()})") from error


def _placement(device: torch.device, threads: int) -> Placement:
    node = f"{socket.gethostname()}/{os.getpid()}"
    return Placement(node, describe_device(device), threads, execution="")
