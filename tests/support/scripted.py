"""Scripted searches: journals as a search writes them, with curves like real ones, untrained."""

from __future__ import annotations

import heapq
import math
import random
from pathlib import Path

from PIL import Image

from handsigns.config.validate import check_study
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, StoredSearch, begin_search, open_search
from handsigns.results.trial import Placement, Session, Verdict
from handsigns.results.winner import (
    WRONG_FOLDER,
    Misclassified,
    RetrainingEpoch,
    RetrainingRecord,
    SeedRun,
    TestResult,
    Unseen,
    add_opening,
    write_retraining,
    write_test,
)
from handsigns.stats.calibration import Bin, Calibration
from tests.support.records import make_spec

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 3e-4, "high": 3e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [16, 32, 64]},
    "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
    "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
    "momentum": {"type": "uniform", "low": 0.8, "high": 0.98, "when": {"optimizer": "sgd"}},
}
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "a very long class name, " * 6,
    "{{7*7}} \"quoted\" 'too' &amp; `x` |",
    "=HYPERLINK(1)\u202e\u2028",
    "javascript:alert(3)",
)


class Script:
    """Plays a search of `trials` trials on `slots` slots into a journal, with ASHA's rungs."""

    def __init__(self, stored: StoredSearch, slots: int, seed: int) -> None:
        self.study = stored.study
        self.now = 0.0
        self.journal = Journal(stored.paths.journal, writable=True)
        self.journal.clock = lambda: self.now
        self.journal.open_session(Session(stored.data.info.fingerprint, {"python": "3.12"}))
        self.lot = random.Random(seed)
        self.slots = slots
        self.values: dict[int, list[float]] = {}

    def play(self, trials: int, *, end: bool = True, trouble: bool = True) -> None:
        top = self.study.budget.max_epochs
        rungs = [e for e in (4, 12, 36, 108) if e < top]
        queue: list[tuple[float, int, int, int]] = []
        begun = 0
        free = list(range(self.slots))
        while begun < trials or queue:
            while free and begun < trials:
                self.begin(begun)
                heapq.heappush(queue, (self.now + self.seconds(begun), begun, 1, free.pop()))
                begun += 1
            self.now, number, epoch, slot = heapq.heappop(queue)
            if not end and begun == trials and len(queue) < self.slots:
                break
            status = self.step(number, epoch, slot, rungs, top, trouble)
            if status is None:
                heapq.heappush(queue, (self.now + self.seconds(number), number, epoch + 1, slot))
            else:
                error = {"failed": f"Traceback\nRuntimeError: {HOSTILE[1]}", "diverged": HOSTILE[0]}
                self.journal.end(f"{number:04d}", status, error.get(status, ""))
                free.append(slot)
        if end:
            self.journal.pause("all trials are done", by_user=False)
        self.journal.close()

    def begin(self, number: int) -> None:
        lot = self.lot
        params = {
            "learning_rate": 10 ** lot.uniform(math.log10(3e-4), math.log10(3e-2)),
            "dropout": lot.uniform(0, 0.5),
            "batch_size": lot.choice([16, 32, 64]),
            "channel_width": lot.choice([8, 12, 16, 20, 24]),
            "optimizer": lot.choice(["adamw", "sgd"]),
        }
        if params["optimizer"] == "sgd":
            params["momentum"] = lot.uniform(0.8, 0.98)
        baseline = self.study.baseline_params()
        if number == 0 and baseline:
            params = baseline
        self.journal.start(make_spec(f"{number:04d}", params))

    def seconds(self, number: int) -> float:
        return 0.6 * self.journal[f"{number:04d}"].config.channel_width / 8

    def step(self, number, epoch, slot, rungs, top, trouble):
        trial_id = f"{number:04d}"
        config = self.journal[trial_id].config
        if trouble and number % 37 == 5 and epoch == 3:
            return "failed"
        if trouble and (config.learning_rate > 0.027 or number % 41 == 7) and epoch == 2:
            return "diverged"
        distance = abs(math.log10(config.learning_rate / 6e-3)) + 0.3 * abs(config.dropout - 0.15)
        floor = 0.05 + 0.25 * distance + 0.01 * (24 - config.channel_width) / 4
        loss = floor + 1.7 * math.exp(-epoch / (5 + 6 * distance)) * self.lot.uniform(0.93, 1.07)
        accuracy = round(173 * max(1 / 6, min(0.99, math.exp(-0.7 * loss)))) / 173
        verdict = self.verdict(epoch, loss) if epoch in rungs else None
        earlier = self.journal[trial_id].epochs
        best = max([accuracy, *(m.best_val_accuracy for m in earlier[-1:])])
        metrics = EpochMetrics(
            epoch, loss * 1.1, max(0.0, accuracy - 0.05), loss, accuracy, best, 1e-3,
            self.seconds(number),
        )  # fmt: skip
        place = Placement(f"laptop/{100 + slot}", "cpu", 1)
        self.journal.report(trial_id, metrics, place, verdict)
        if verdict and verdict.stop:
            return "stopped"
        return "completed" if epoch == top else None

    def verdict(self, rung: int, loss: float) -> Verdict:
        values = self.values.setdefault(rung, [])
        cutoff = sorted(values)[max(0, len(values) // 3 - 1)] if len(values) >= 3 else None
        stop = cutoff is not None and loss > cutoff
        values.append(loss)
        return Verdict(rung, loss, cutoff, len(values) - 1, stop)


def scripted(
    results: Path, name: str = "scripted", trials: int = 12, *, space=None, slots: int = 2,
    end: bool = True, trouble: bool = True, hostile: bool = False, seed: int = 1,
    max_epochs: int = 36, classes: int = 6,
) -> StoredSearch:  # fmt: skip
    """A search of so many trials, as its files tell it."""
    study, problems = check_study(
        {"space": space or SPACE, "budget": {"trials": max(1, trials), "max_epochs": max_epochs}}
    )
    assert study is not None, problems
    names = HOSTILE if hostile else tuple("012345")
    if classes != 6:
        names = tuple(f"{chr(97 + k % 26)} class {k}" for k in range(classes))
    notes = (
        "3 of the 173 val pictures are in train (691) too; scores on val will look better",
        *(HOSTILE if hostile else ()),
    )
    most = classes - 1
    counts = {
        "train": (115,) * classes, "val": (*(29,) * most, 28), "test": (36,) * classes,
    }  # fmt: skip
    info = DataInfo(HOSTILE[0] if hostile else "drawn hands", "f00d" * 8, names, 64, counts, notes)
    stored = begin_search(
        SearchPaths.named(results, name), study, DataRecord(info, None, 64, False)
    )
    Script(stored, slots, seed).play(trials, end=end, trouble=trouble)
    return open_search(stored.paths)


def retrained(stored: StoredSearch) -> None:
    """Adds the files that `retrain` and `test` write, but for the weights."""
    folder = stored.paths.winner
    (folder / WRONG_FOLDER).mkdir(parents=True)
    result = tested(stored)
    for number, one in enumerate(result.wrong):
        if one.file is None:
            break
        noise = Image.effect_noise((64, 64), 60 + number).convert("RGB")
        noise.save(folder / (one.file or ""), "PNG")
    write_test(folder, result)
    write_retraining(folder, retraining(stored))
    for _ in range(2):
        add_opening(stored.paths.test_ledger, result.trial_id, "x", result.correct, result.total)


def tested(stored: StoredSearch) -> TestResult:
    """A test in which 34 of 36 images of each class are classified correctly."""
    classes = stored.data.info.classes
    n_classes = len(classes)
    confusion = [
        [34 * (i == j) + 2 * (j == (i + 1) % n_classes) for j in range(n_classes)]
        for i in range(n_classes)
    ]
    bins = [
        Bin(k / 10, (k + 1) / 10, 5 * k * k, (k + 0.6) / 10, (k + 0.2) / 10) for k in range(1, 10)
    ]
    return TestResult(
        classes=classes,
        confusion=tuple(map(tuple, confusion)),
        wrong=tuple(
            Misclassified(
                picture=f"test/{classes[n % n_classes]}/{HOSTILE[n % 2]}_{n}.jpg",
                index=7 * n,
                true=classes[n % n_classes],
                predicted=classes[(n + 1) % n_classes],
                confidence=0.4 + 0.04 * (n % 12),
                file=f"{WRONG_FOLDER}/{n:02d}.png" if n < 12 else None,
            )
            for n in range(2 * n_classes)
        ),
        calibration=Calibration(0.031, tuple(bins)),
        per_seed=(204 / 216, 207 / 216),
        unseen=Unseen(34 * n_classes - 14, 36 * n_classes - 15),
        seeds=(5, 6),
        kept_seeds=(5,),
        trial_id=stored.trial(None).trial_id,
        chosen="by rank",
        chosen_after_test=False,
        openings=2,
        fingerprint=stored.data.info.fingerprint,
    )


def retraining(stored: StoredSearch) -> RetrainingRecord:
    """A retraining with two seeds, the second of which diverged."""
    epochs = tuple(RetrainingEpoch(e, 1.5 / e, 1 - 0.8 / e, 1e-3, 0.9) for e in range(1, 37))
    return RetrainingRecord(
        trial_id=stored.trial(None).trial_id,
        kept_seeds=(5,),
        kept_by="lowest loss",
        train_pictures=864,
        seconds=70.5,
        device="cpu",
        threads=2,
        environment={"python": "3.12"},
        runs=(SeedRun(5, 0.04, epochs), SeedRun(6, None, epochs[:30])),
    )
