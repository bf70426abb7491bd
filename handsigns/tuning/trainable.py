"""One trial, as Ray runs it: train, save a checkpoint, report, epoch by epoch."""

from __future__ import annotations

import dataclasses
import os
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from handsigns.config.hyperparameters import TrialConfig
from handsigns.io.throttle import Throttle
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.reevaluation import splits_of
from handsigns.results.trial import Placement
from handsigns.training.checkpoint import CheckpointError, dump_checkpoint, load_checkpoint
from handsigns.training.device import pick_device
from handsigns.training.train import DivergedError, TrainingPlan, TrainingState, fit, start
from handsigns.tuning.task import TrialTask

_FAILURES = 5
"""To save to a store far away, one after the other, before that counts as lasting."""


def train_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train one configuration, from its latest checkpoint where there is one.

    A divergence or an error is reported, not raised: trying again would end the same way. A process
    that dies is another matter, and Ray starts the trial anew.
    """
    torch.set_num_threads(task.threads)
    # Ray ends a trial by raising SystemExit from `report`, which is no Exception and passes.
    try:
        _train_and_report(config, task)
    except DivergedError as error:
        tune.report({"diverged": str(error)})
    except _UnwrittenError as error:
        tune.report({"unwritten": str(error)})
    except Exception:
        tune.report({"failed": traceback.format_exc()})


def _train_and_report(config: dict[str, Any], task: TrialTask) -> None:
    plan = TrainingPlan(
        config=TrialConfig.from_params(config["hyperparameters"]),
        classes=task.classes,
        size=task.size,
        max_epochs=task.max_epochs,
        seed=config["seed"],
        device=pick_device(task.gpus),
        own=task.own,
    )
    where = dataclasses.asdict(_placement(plan.device, task.threads))
    state = _last_state(task.checkpoints, config["trial_id"], plan, known=config["epochs"])
    # Reports may have died with the process that trained, or with the driver.
    for metrics in state.recent:
        if metrics.epoch > config["epochs"]:
            tune.report({**dataclasses.asdict(metrics), **where})
    # Epochs that are known already, as a checkpoint was lost, are passed over when reported again.
    splits = splits_of(config["trial_id"], task.train, task.val, task.study_seed)
    saver = _Saver(task.checkpoints, config["trial_id"])
    for metrics in fit(state, *splits):
        saver.save(state)
        tune.report({**dataclasses.asdict(metrics), **where})


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
                raise _UnwrittenError(f"{error} (on {socket.gethostname()})") from error
            tune.report({"note": f"its checkpoint could not be saved, which may pass: {error}"})


class _UnwrittenError(Exception):
    """Checkpoints cannot be written, or read: no fault of the trial's, and the whole search must
    know.
    """


def _last_state(
    checkpoints: Checkpoints, trial_id: str, plan: TrainingPlan, known: int
) -> TrainingState:
    """That of the latest whole checkpoint; the beginning where there is none.

    Args:
        checkpoints: of the search.
        trial_id, plan: of the trial.
        known: epochs that are recorded; a checkpoint must tell of all later ones.
    """
    for name, data in _found(checkpoints, trial_id):
        try:
            state = load_checkpoint(data, plan, name)
        except CheckpointError as error:
            tune.report({"note": f"{error}; an earlier one is used, or the trial starts over"})
            continue
        if not state.recent or state.recent[0].epoch <= known + 1:
            return state
    return start(plan)


def _found(checkpoints: Checkpoints, trial_id: str) -> Iterator[tuple[str, bytes]]:
    try:
        yield from checkpoints.of(trial_id)
    except OSError as error:
        raise _UnwrittenError(f"{error} (on {socket.gethostname()})") from error


def _placement(device: torch.device, threads: int) -> Placement:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    node = f"{socket.gethostname()}/{os.getpid()}"
    return Placement(node=node, device=f"{device.type} {name}".strip(), threads=threads)
