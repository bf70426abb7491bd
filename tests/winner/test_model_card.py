"""The model card: what is recorded, and nothing that others' text could make of it."""

import dataclasses

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.validate import check_study
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, StoredSearch
from handsigns.results.trial import Placement
from handsigns.results.winner import (
    Misclassified,
    ModelCard,
    RetrainingRecord,
    SeedRun,
    TestResult,
    Unseen,
    read_retraining,
    read_test,
)
from handsigns.stats.calibration import Calibration
from handsigns.winner.model_card import write_readme
from tests.support.records import make_spec

HOSTILE = "<script>alert(1)</script>[x](javascript:1)|`*_\n# head"


@pytest.fixture
def written(tmp_path):
    """Writes a card of a model that knows HOSTILE and another class; returns its text."""
    study, _ = check_study({"space": {"learning_rate": 0.01}})
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start(make_spec("0000", {"learning_rate": 0.01}))
    metrics = EpochMetrics(1, 0.1, 0.9, 0.3, 0.9, 0.9, 0.01, 1.0)
    journal.report("0000", metrics, Placement("laptop/1", "cpu", 1))
    classes = (HOSTILE, "two")
    counts = {"train": (30, 30), "val": (5, 5), "test": (4, 6)}
    info = DataInfo(HOSTILE, "f1ng", classes, 16, counts, (HOSTILE,))
    stored = StoredSearch(SearchPaths(tmp_path), study, DataRecord(info, None, 16, False), journal)
    card = ModelCard(config=TrialConfig(learning_rate=0.01), classes=classes, size=16, epochs=7,
                     seeds=(5,), search="first", trial_id="0000", chosen="by rank",
                     chosen_after_test=False, fingerprint="f1ng", git_revision=None,
                     own_code={}, trained_seeds=(5,))  # fmt: skip
    training = RetrainingRecord(
        trial_id="0000", kept_seeds=(5,), kept_by="lowest loss", train_pictures=70, seconds=2.0,
        device="cpu", threads=1, environment={}, runs=(SeedRun(5, 0.1, ()), SeedRun(6, None, ())),
    )  # fmt: skip

    def write(test=None):
        write_readme(tmp_path, card, stored, training, test)
        return (tmp_path / "README.md").read_text()

    yield write
    journal.close()


def outcome(confusion=((1, 3), (0, 6)), **changes):
    missed = sum(map(sum, confusion)) - confusion[0][0] - confusion[1][1]
    result = TestResult(
        classes=(HOSTILE, "two"),
        confusion=confusion,
        wrong=tuple(Misclassified(HOSTILE, n, HOSTILE, "two", 0.9) for n in range(missed)),
        calibration=Calibration(0.125, ()),
        per_seed=(0.7,),
        unseen=Unseen(7, 10),
        seeds=(5,),
        kept_seeds=(5,),
        trial_id="0000",
        chosen="by rank",
        chosen_after_test=False,
        openings=1,
        fingerprint="f1ng",
    )
    return dataclasses.replace(result, **changes)


def test_before_the_test(written):
    text = written()
    assert "not tested yet" in text
    # Wilson's interval of 9 of 10.
    assert "90.00%, 9 of 10 pictures, 95 % interval 59.58% to 98.21%" in text
    assert "optimistic" in text
    assert "70 pictures, for 7 epochs. Fresh seeds, trained one after another: 5, 6, of" in text
    assert "| learning\\_rate | 0\\.01 |" in text
    assert "| train | 60 | " in text
    assert "\nhandsigns predict first photo.jpg\n" in text


def test_after_the_test(written):
    text = written(outcome())
    # Wilson's interval of 7 of 10.
    assert "70.00%, 7 of 10 pictures, 95 % interval 39.68% to 89.22%" in text
    assert "| two | 66.7% | 100.0% | 6 |" in text
    assert "opened once." in text
    assert ", predicted two: 3 of 4" in text
    assert "calibration error on the test split: 0.125" in text
    again = written(outcome(openings=3, chosen_after_test=True))
    assert "opened 3 times. Only the first result is free of choices" in again
    assert "no honest estimate" in again
    assert "also in train or val" not in text
    shared = written(outcome(unseen=Unseen(5, 8)))
    assert (
        "2 of these pictures are also in train or val; of the other 8 it has 5 right, 62.50%"
        in shared
    )
    assert "made no mistake" in written(outcome(((4, 0), (0, 6))))


def test_many_classes_are_shortened(written, make_search, retrain):
    search = make_search(trials=3, classes=1000)
    retrain(search)
    folder = search.paths.winner
    classes = search.data.info.classes
    card = ModelCard(config=TrialConfig(), classes=classes, size=64, epochs=7, seeds=(5,),
                     search="first", trial_id="0000", chosen="by rank", chosen_after_test=False,
                     fingerprint="f1ng", git_revision=None, own_code={},
                     trained_seeds=(5,))  # fmt: skip
    write_readme(folder, card, search, read_retraining(folder), read_test(folder))
    text = (folder / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert max(map(len, text.splitlines())) < 1200
    assert "and 970 more (all are in `config.yaml`)" in text
    assert "| train | 115000 | 1000 | 115 | 115 |" in text
    assert "These are the 30 classes with the lowest recall of 1000" in text


def test_a_licence_that_the_user_wrote_is_kept(written, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(written().split("## Licence")[0] + "## Licence\n\nCC BY 4.0, *all of it*.\n")
    text = written(outcome())
    assert text.endswith("\n## Licence\n\nCC BY 4.0, *all of it*.\n")
    assert text.count("## Licence") == 1
    assert "70.00%" in text


def test_text_from_outside_stays_text(written):
    text = written(outcome())
    assert "<script" not in text
    assert "](java" not in text
    assert "\n# head" not in text
    for line in text.splitlines():
        if line.startswith("| ") and "script" in line:
            assert "\\|" in line
    assert text.count("\n# ") == 0, "the title is the first line"
