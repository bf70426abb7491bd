"""One trial, in a process of Ray's: train, save a checkpoint, report, epoch by epoch."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from handsigns.data.folds import training_splits
from handsigns.io.throttle import Throttle
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.trial import Placement, TrialSpec
from handsigns.training.checkpoint import CheckpointError, dump_checkpoint, load_checkpoint
from handsigns.training.device import pick_device
from handsigns.training.train import DivergedError, TrainingPlan, TrainingState, fit, start
from handsigns.tuning.messages import TrialReport, TrialTask

_FAILURES = 5
"""To save to a store far away, one after the other, before that counts as lasting."""


def run_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train one configuration, from its latest checkpoint where there is one.

    A divergence or an error is reported, not raised: trying again would end the same way. A process
    that dies is another matter, and the trial is retried.
    """
    torch.set_num_threads(task.threads)
    # Ray ends a trial by raising SystemExit from `report`, which is no Exception and passes.
    try:
        _train_and_report(TrialSpec.from_dict(config), task)
    except DivergedError as error:
        _report(TrialReport("diverged", str(error)))
    except _StorageLostError as error:
        _report(TrialReport("storage_lost", str(error)))
    except Exception:
        _report(TrialReport("failed", traceback.format_exc()))


def _train_and_report(spec: TrialSpec, task: TrialTask) -> None:
    plan = TrainingPlan(
        config=spec.config,
        classes=task.classes,
        size=task.size,
        max_epochs=task.max_epochs,
        seed=spec.seed,
        device=pick_device(task.gpus),
        own=task.own,
    )
    placement = _placement(plan.device, task.threads)
    state = _latest_state(task.checkpoints, spec, plan)
    # Reports may have died with the process that trained, or with the driver.
    for metrics in state.recent:
        if metrics.epoch > spec.epochs_done:
            _report(TrialReport("epoch", metrics=metrics, placement=placement))
    # Epochs that are known already, as a checkpoint was lost, are ignored when reported again.
    saver = _Saver(task.checkpoints, spec.trial_id)
    for metrics in fit(state, *training_splits(spec.fold, task.train, task.val)):
        saver.save(state)
        _report(TrialReport("epoch", metrics=metrics, placement=placement))


def _report(report: TrialReport) -> None:
    tune.report(report.to_dict())


class _Saver:
    """Saves a checkpoint after each epoch; in a store far away less often, where that would take
    long beside training. Epochs since then are trained again if the process dies.
    """

    def __init__(self, checkpoints: Checkpoints, trial_id: str) -> None:
        self._checkpoints = checkpoints
        self._trial_id = trial_id
        self._throttle = Throttle(share=0.05)  # of a trial's time, for a store far away
        self._failures = 0

    def save(self, state: TrainingState) -> None:
        """Save, if it is time; always after the last epoch."""
        wanted = self._checkpoints.place.on_disk or state.epoch >= state.plan.max_epochs
        if not wanted and not self._throttle.due:
            return
        try:
            with self._throttle.work():
                self._checkpoints.save(self._trial_id, dump_checkpoint(state))
            self._failures = 0
        except OSError as error:
            self._failures += 1
            if self._checkpoints.place.on_disk or self._failures >= _FAILURES:
                raise _StorageLostError(f"{error} (on {socket.gethostname()})") from error
            _report(
                TrialReport("note", f"its checkpoint could not be saved, which may pass: {error}")
            )


class _StorageLostError(Exception):
    """Checkpoints cannot be written, or read: no fault of the trial's, and the whole search must
    know.
    """


def _latest_state(checkpoints: Checkpoints, spec: TrialSpec, plan: TrainingPlan) -> TrainingState:
    """That of the latest whole checkpoint that has all epochs which are not recorded; the beginning
    where there is none.
    """
    for name, data in _found(checkpoints, spec.trial_id):
        try:
            state = load_checkpoint(data, plan, name)
        except CheckpointError as error:
            again = f"{error}; an earlier one is used, or the trial starts over"
            _report(TrialReport("note", again))
            continue
        if not state.recent or state.recent[0].epoch <= spec.epochs_done + 1:
            return state
    return start(plan)


def _found(checkpoints: Checkpoints, trial_id: str) -> Iterator[tuple[str, bytes]]:
    try:
        yield from checkpoints.of(trial_id)
    except OSError as error:
        raise _StorageLostError(f"{error} (on {socket.gethostname()})") from error


def _placement(device: torch.device, threads: int) -> Placement:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    node = f"{socket.gethostname()}/{os.getpid()}"
    return Placement(node=node, device=f"{device.type} {name}".strip(), threads=threads)
