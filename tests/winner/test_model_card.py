"""The model card: its content, and the escaping of untrusted text."""

import dataclasses

import pytest

from handsigns.cli.parser import parse
from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.validate import validate_search_config
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.latency import Latency
from handsigns.metrics import EpochMetrics
from handsigns.results.exports import (
    GraphProfile,
    Int8Export,
    write_int8_export,
    write_onnx_profile,
)
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, StoredSearch
from handsigns.results.test_result import (
    Misclassified,
    NonDuplicateScore,
    TestResult,
    read_test_result,
)
from handsigns.results.trial import Placement, Session
from handsigns.results.winner import ModelCard, RetrainingRecord, SeedRun, read_retraining
from handsigns.stats.calibration import Calibration
from handsigns.winner.model_card import write_readme
from handsigns.winner.model_card_usage import usage_section
from tests.support.records import make_spec

HOSTILE_TEXT = "<script>alert(1)</script>[x](javascript:1)|`*_\n# head"


@pytest.fixture(params=["f1ng"])
def write_card(tmp_path, request):
    """Write the card of a model with a class named HOSTILE_TEXT; return its text.

    The parameter is the fingerprint of the images that the trial was trained on.
    """
    config, _ = validate_search_config({"space": {"learning_rate": 0.01}})
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session(request.param, {}))
    journal.start_trial(make_spec("0000", {"learning_rate": 0.01}))
    metrics = EpochMetrics(1, 0.1, 0.9, 0.3, 0.9, 0.9, 0.01, 1.0)
    journal.report_epoch("0000", metrics, Placement("laptop/1", "cpu", 1))
    classes = (HOSTILE_TEXT, "two")
    counts = {"train": (30, 30), "val": (5, 5), "test": (4, 6)}
    info = DataInfo(HOSTILE_TEXT, "f1ng", classes, 16, counts, (HOSTILE_TEXT,))
    stored = StoredSearch(SearchPaths(tmp_path), config, DataRecord(info, None, 16, False), journal)
    card = ModelCard(config=TrialConfig(learning_rate=0.01), classes=classes, size=16, epochs=7,
                     seeds=(5,), search="first", trial_id="0000", selected_by="rank",
                     selected_after_test=False, fingerprint="f1ng", git_revision=None,
                     user_code={}, trained_seeds=(5,))  # fmt: skip
    training = RetrainingRecord(
        trial_id="0000", selected_seeds=(5,), selection_rule="lowest loss", num_train_images=70,
        seconds=2.0, device="cpu", threads=1, environment={},
        runs=(SeedRun(5, 0.1, ()), SeedRun(6, None, ())),
    )  # fmt: skip

    def write(test=None):
        write_readme(tmp_path, card, stored, training, test)
        return (tmp_path / "README.md").read_text()

    yield write
    journal.close()


def make_result(confusion_matrix=((1, 3), (0, 6)), **changes):
    num_misclassified = (
        sum(map(sum, confusion_matrix)) - confusion_matrix[0][0] - confusion_matrix[1][1]
    )
    result = TestResult(
        classes=(HOSTILE_TEXT, "two"),
        confusion_matrix=confusion_matrix,
        misclassified=tuple(
            Misclassified(HOSTILE_TEXT, n, HOSTILE_TEXT, "two", 0.9)
            for n in range(num_misclassified)
        ),
        calibration=Calibration(0.125, ()),
        accuracy_per_seed=(0.7,),
        excluding_duplicates=NonDuplicateScore(7, 10),
        seeds=(5,),
        selected_seeds=(5,),
        trial_id="0000",
        selected_by="rank",
        selected_after_test=False,
        test_evaluations=1,
        fingerprint="f1ng",
    )
    return dataclasses.replace(result, **changes)


def test_commands_for_a_user_defined_network_trust_its_code():
    card = ModelCard(config=TrialConfig(architecture="mine:net"), classes=("a", "b"), size=16,
                     epochs=7, seeds=(5,), search="first", trial_id="0000", selected_by="rank",
                     selected_after_test=False, fingerprint="f1ng", git_revision=None,
                     user_code={}, trained_seeds=(5,))  # fmt: skip
    text = usage_section(card)
    for line in text.splitlines():
        if line.startswith("handsigns "):
            parse(line.split()[1:])
            assert line.endswith(" --trust-user-code")
    assert 'load_winner("first", trust_user_code=True)' in text
    assert "runs no code" not in text
    assert "which loading the model runs" in text


def make_profile(file_bytes):
    return GraphProfile(file_bytes, Latency(0.7, 0.9123, 400), HOSTILE_TEXT)


def test_card_before_the_test(write_card):
    text = write_card()
    assert "not tested yet" in text
    # Wilson interval of 9/10.
    assert "90.00%, 9/10 correct, 95 % confidence interval 59.58% to 98.21%" in text
    assert "optimistic" in text
    assert "70 images, 7 epochs. Fresh seeds: 5, 6, of" in text
    assert "| learning\\_rate | 0\\.01 |" in text
    assert "| train | 60 | " in text
    assert "\nhandsigns predict first photo.jpg\n" in text


@pytest.mark.parametrize("write_card", ["0ther"], indirect=True)
def test_accuracy_on_images_that_have_changed_has_no_interval(write_card):
    line = "in the search: 90.00%, on images that have changed since. This is optimistic"
    assert line in write_card()


def test_card_after_the_test(write_card):
    text = write_card(make_result())
    # Wilson interval of 7/10.
    assert "70.00%, 7/10 correct, 95 % confidence interval 39.68% to 89.22%" in text
    assert "| two | 66.7% | 100.0% | 6 |" in text
    assert "opened once." in text
    assert ", predicted two: 3 of 4" in text
    assert "calibration error on the test split: 0.125" in text
    retested = write_card(make_result(test_evaluations=3, selected_after_test=True))
    assert "opened 3 times. Only the first result is unbiased" in retested
    assert "a biased estimate" in retested
    assert "near-duplicates in train or val" not in text
    with_duplicates = write_card(make_result(excluding_duplicates=NonDuplicateScore(5, 8)))
    assert (
        "2 of these images have near-duplicates in train or val; of the other 8, 5 are correct, "
        "62.50%" in with_duplicates
    )
    assert "misclassified none of the 10" in write_card(make_result(((4, 0), (0, 6))))


def test_the_card_is_short_with_many_classes(write_card, make_search, add_scripted_winner):
    search = make_search(trials=3, classes=1000)
    add_scripted_winner(search)
    folder = search.paths.winner
    classes = search.data.info.classes
    card = ModelCard(config=TrialConfig(), classes=classes, size=64, epochs=7, seeds=(5,),
                     search="first", trial_id="0000", selected_by="rank", selected_after_test=False,
                     fingerprint="f1ng", git_revision=None, user_code={},
                     trained_seeds=(5,))  # fmt: skip
    write_readme(folder, card, search, read_retraining(folder), read_test_result(folder))
    text = (folder / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert max(map(len, text.splitlines())) < 1200
    assert "and 970 more (all are in `config.yaml`)" in text
    assert "| train | 115000 | 1000 | 115 | 115 |" in text
    assert "These are the 30 of 1000 classes with the lowest recall" in text


@pytest.mark.parametrize("heading", ["## Licence\n\n", "## Licence\n", "## Licence \r\n\r\n"])
def test_the_licence_text_of_the_user_is_kept(write_card, tmp_path, heading):
    """The new card is of another folder, as in a retraining."""
    path = tmp_path / "winner" / "README.md"
    path.parent.mkdir()
    own = write_card().split("## Licence")[0] + f"{heading}CC BY 4.0, *all of it*.\n"
    path.write_bytes(own.encode())
    text = write_card(make_result())
    assert text.endswith("\n## Licence\n\nCC BY 4.0, *all of it*.\n")
    assert text.count("## Licence") == 1
    assert "70.00%" in text


def test_untrusted_text_is_escaped(write_card):
    text = write_card(make_result())
    assert "<script" not in text
    assert "](java" not in text
    assert "\n# head" not in text
    for line in text.splitlines():
        if line.startswith("| ") and "script" in line:
            assert "\\|" in line
    assert text.count("\n# ") == 0, "the title is the first line"


def test_the_card_has_the_exported_graphs(write_card, tmp_path):
    assert "Exported graphs" not in write_card()
    write_onnx_profile(tmp_path, make_profile(454_100))
    text = write_card()
    assert "| float32 | 454.1 kB | 0.7 ms | 0.912 ms |" in text
    assert "in 400 runs" in text
    assert "int8" not in text
    export = Int8Export(make_profile(454_100), make_profile(1_234_567), 256, 173, 172, 170, 0.0223)
    write_int8_export(tmp_path, export)
    text = write_card(make_result())
    assert text.count("## Exported graphs") == 1
    assert "| float32 | 454.1 kB | 0.7 ms | 0.912 ms | 99.42% (172/173) |" in text
    assert "| int8 | 1.2 MB | 0.7 ms | 0.912 ms | 98.27% (170/173) |" in text
    assert "at most 0\\.022 on" in text
    assert "<script" not in text


def test_a_damaged_record_says_how_to_export_again(write_card, tmp_path):
    (tmp_path / "onnx_int8.json").write_text("{}")
    message = r"onnx_int8.json is damaged (?s:.*)--format onnx --int8"
    with pytest.raises(ResultsError, match=message):
        write_card()
