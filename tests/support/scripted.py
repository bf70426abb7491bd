"""Scripted searches: journals with realistic learning curves, written without training."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import replace
from pathlib import Path

from PIL import Image

from handsigns.config.validate import validate_search_config
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.policy.promotion import PromotionASHA
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, StoredSearch, create_search, open_search
from handsigns.results.test_result import (
    MISCLASSIFIED_DIR,
    Misclassified,
    NonDuplicateScore,
    TestResult,
    append_test_evaluation,
    write_test_result,
)
from handsigns.results.trial import Placement, Session, Status
from handsigns.results.winner import (
    ModelCard,
    RetrainingEpoch,
    RetrainingRecord,
    SeedRun,
    write_model_card,
    write_retraining,
)
from handsigns.stats.calibration import Calibration, CalibrationBin
from tests.support.records import make_spec

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 3e-4, "high": 3e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [16, 32, 64]},
    "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
    "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
    "momentum": {"type": "uniform", "low": 0.8, "high": 0.98, "when": {"optimizer": "sgd"}},
}
HOSTILE_STRINGS = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "a very long class name, " * 6,
    "{{7*7}} \"quoted\" 'too' &amp; `x` |",
    "=HYPERLINK(1)\u202e\u2028",
    "javascript:alert(3)",
)


class SearchSimulator:
    """Simulator that writes a search with the default scheduler, on `slots` slots, to a journal."""

    def __init__(self, stored: StoredSearch, slots: int, seed: int) -> None:
        self.config = stored.config
        self.now = 0.0
        self.journal = Journal(stored.paths.journal, writable=True)
        self.journal.clock = lambda: self.now
        self.journal.start_session(Session(stored.data.info.fingerprint, {"python": "3.12"}))
        self.rng = random.Random(seed)
        self.slots = slots
        self.rule = PromotionASHA(stored.config)

    def play(self, trials: int, *, end: bool = True, with_failures: bool = True) -> None:
        queue: list[tuple[float, int, int]] = []
        free = list(range(self.slots))
        while True:
            while free and (number := self.next_trial(trials)) is not None:
                heapq.heappush(queue, (self.now + self.epoch_seconds(number), number, free.pop()))
            if not queue:
                break
            self.now, number, slot = heapq.heappop(queue)
            if not end and len(self.journal) == trials:
                break
            if self.run_epoch(number, slot, with_failures):
                heapq.heappush(queue, (self.now + self.epoch_seconds(number), number, slot))
            else:
                free.append(slot)
        if end:
            for record in self.journal.records:
                if record.status == "paused":
                    self.journal.end_trial(record.trial_id, "stopped")
            self.journal.end_session("all trials are done", interrupted=False)
        self.journal.close()

    def next_trial(self, trials: int) -> int | None:
        """Continue a paused trial or start a new one, and return its number; None: neither."""
        number = len(self.journal)
        promoted = self.rule.next_promotion(can_start=number < trials, remaining_seconds=None)
        if promoted is not None:
            self.journal.resume_trial(promoted)
            return int(promoted)
        if number == trials:
            return None
        self.start_trial(number)
        return number

    def start_trial(self, number: int) -> None:
        rng = self.rng
        params = {
            "learning_rate": 10 ** rng.uniform(math.log10(3e-4), math.log10(3e-2)),
            "dropout": rng.uniform(0, 0.5),
            "batch_size": rng.choice([16, 32, 64]),
            "channel_width": rng.choice([8, 12, 16, 20, 24]),
            "optimizer": rng.choice(["adamw", "sgd"]),
        }
        if params["optimizer"] == "sgd":
            params["momentum"] = rng.uniform(0.8, 0.98)
        baseline = self.config.baseline_params()
        if number == 0 and baseline:
            params = baseline
        self.journal.start_trial(make_spec(f"{number:04d}", params))

    def epoch_seconds(self, number: int) -> float:
        return 0.6 * self.journal[f"{number:04d}"].config.channel_width / 8

    def run_epoch(self, number: int, slot: int, with_failures: bool) -> bool:
        """Report the next epoch of a trial, or its failure; return whether it continues."""
        trial_id = f"{number:04d}"
        record = self.journal[trial_id]
        config, epoch = record.config, len(record.epochs) + 1
        failure = self.failure(number, epoch) if with_failures else None
        if failure is not None:
            self.journal.end_trial(trial_id, *failure)
            self.rule.on_failure(trial_id)
            return False
        distance = abs(math.log10(config.learning_rate / 6e-3)) + 0.3 * abs(config.dropout - 0.15)
        floor = 0.05 + 0.25 * distance + 0.01 * (24 - config.channel_width) / 4
        loss = floor + 1.7 * math.exp(-epoch / (5 + 6 * distance)) * self.rng.uniform(0.93, 1.07)
        accuracy = round(173 * max(1 / 6, min(0.99, math.exp(-0.7 * loss)))) / 173
        best = max([accuracy, *(m.best_val_accuracy for m in record.epochs[-1:])])
        metrics = EpochMetrics(
            epoch, loss * 1.1, max(0.0, accuracy - 0.05), loss, accuracy, best, 1e-3,
            self.epoch_seconds(number), accuracy**2, accuracy**3,
        )  # fmt: skip
        action, verdict = self.rule.decide(trial_id, metrics)
        placement = Placement(f"laptop/{100 + slot}", "cpu", 1)
        self.journal.report_epoch(trial_id, metrics, placement, verdict)
        if epoch == self.config.budget.max_epochs:
            self.journal.end_trial(trial_id, "completed")
            return False
        return action == "continue"

    def failure(self, number: int, epoch: int) -> tuple[Status, str] | None:
        """Return status and error of a trial that fails before the end of an epoch."""
        if number % 37 == 5 and epoch == 3:
            return "failed", f"Traceback\nRuntimeError: {HOSTILE_STRINGS[1]}"
        learning_rate = self.journal[f"{number:04d}"].config.learning_rate
        if (learning_rate > 0.027 or number % 41 == 7) and epoch == 2:
            return "diverged", HOSTILE_STRINGS[0]
        return None


def simulate_search(
    results: Path, name: str = "scripted", trials: int = 12, *, space=None, slots: int = 2,
    end: bool = True, with_failures: bool = True, hostile: bool = False, seed: int = 1,
    max_epochs: int = 36, classes: int = 6, **sections,
) -> StoredSearch:  # fmt: skip
    """Return a stored search with simulated trials; `sections` are those of its configuration."""
    budget = {"trials": max(1, trials), "max_epochs": max_epochs}
    config, problems = validate_search_config(
        {"space": space or SPACE, "budget": budget, **sections}
    )
    assert config is not None, problems
    names = HOSTILE_STRINGS if hostile else tuple("012345")
    if classes != 6:
        names = tuple(f"{chr(97 + k % 26)} class {k}" for k in range(classes))
    notes = (
        "3 of 173 val images have near-duplicates in train (691 images; 1 identical); val scores "
        "are optimistic",
        *(HOSTILE_STRINGS if hostile else ()),
    )
    counts = {
        "train": (115,) * classes, "val": (*(29,) * (classes - 1), 28), "test": (36,) * classes,
    }  # fmt: skip
    info = DataInfo(
        HOSTILE_STRINGS[0] if hostile else "synthetic hands", "f00d" * 8, names, 64, counts, notes
    )
    stored = create_search(
        SearchPaths.for_name(results, name), config, DataRecord(info, None, 64, False)
    )
    SearchSimulator(stored, slots, seed).play(trials, end=end, with_failures=with_failures)
    return open_search(stored.paths)


def write_scripted_winner(stored: StoredSearch) -> None:
    """Write the files that `retrain` and `test` write, except for the weights."""
    folder = stored.paths.winner
    (folder / MISCLASSIFIED_DIR).mkdir(parents=True)
    result = make_test_result(stored)
    for number, error in enumerate(result.misclassified):
        if error.file is None:
            break
        noise = Image.effect_noise((64, 64), 60 + number).convert("RGB")
        noise.save(folder / (error.file or ""), "PNG")
    write_test_result(folder, result)
    write_retraining(folder, make_retraining_record(stored))
    write_model_card(folder, make_model_card(stored))
    for _ in range(2):
        append_test_evaluation(
            stored.paths.test_ledger, result.trial_id, "x", result.correct, result.total
        )


def make_test_result(stored: StoredSearch) -> TestResult:
    """Return a test result with 34 of 36 images of each class classified correctly."""
    classes = stored.data.info.classes
    num_classes = len(classes)
    confusion = [
        [34 * (i == j) + 2 * (j == (i + 1) % num_classes) for j in range(num_classes)]
        for i in range(num_classes)
    ]
    bins = [
        CalibrationBin(k / 10, (k + 1) / 10, 5 * k * k, (k + 0.6) / 10, (k + 0.2) / 10)
        for k in range(1, 10)
    ]
    return TestResult(
        classes=classes,
        confusion_matrix=tuple(map(tuple, confusion)),
        misclassified=tuple(
            Misclassified(
                image=f"test/{classes[n % num_classes]}/{HOSTILE_STRINGS[n % 2]}_{n}.jpg",
                index=7 * n,
                true=classes[n % num_classes],
                predicted=classes[(n + 1) % num_classes],
                confidence=0.4 + 0.04 * (n % 12),
                file=f"{MISCLASSIFIED_DIR}/{n:02d}.png" if n < 12 else None,
            )
            for n in range(2 * num_classes)
        ),
        calibration=Calibration(0.031, tuple(bins)),
        accuracy_per_seed=(204 / 216, 207 / 216),
        excluding_duplicates=NonDuplicateScore(34 * num_classes - 14, 36 * num_classes - 15),
        seeds=(5, 6),
        selected_seeds=(5,),
        trial_id=stored.trial(None).trial_id,
        selected_by="rank",
        selected_after_test=False,
        test_evaluations=2,
        fingerprint=stored.data.info.fingerprint,
    )


def make_model_card(stored: StoredSearch) -> ModelCard:
    """Return the card of the best trial's model."""
    record = stored.trial(None)
    return ModelCard(
        config=record.config, classes=stored.data.info.classes, size=64, epochs=36, seeds=(5,),
        search=stored.paths.name, trial_id=record.trial_id, selected_by="rank",
        selected_after_test=False, fingerprint=stored.data.info.fingerprint, git_revision=None,
        user_code={}, trained_seeds=(5,),
    )  # fmt: skip


def add_weak_class(result: TestResult) -> TestResult:
    """Return a test result with 30 more images of the last class predicted as the second."""
    rows = [list(row) for row in result.confusion_matrix]
    rows[-1][-1] -= 30
    rows[-1][1] += 30
    errors = [replace(result.misclassified[-1], index=9000 + n) for n in range(30)]
    return replace(
        result,
        confusion_matrix=tuple(map(tuple, rows)),
        misclassified=(*result.misclassified, *errors),
    )


def make_retraining_record(stored: StoredSearch) -> RetrainingRecord:
    """Return a retraining with two seeds, the second of which diverged."""
    epochs = tuple(RetrainingEpoch(e, 1.5 / e, 1 - 0.8 / e, 1e-3, 0.9) for e in range(1, 37))
    return RetrainingRecord(
        trial_id=stored.trial(None).trial_id,
        selected_seeds=(5,),
        selection_rule="lowest loss",
        num_train_images=864,
        seconds=70.5,
        device="cpu",
        threads=2,
        environment={"python": "3.12"},
        runs=(SeedRun(5, 0.04, epochs), SeedRun(6, None, epochs[:30])),
    )
