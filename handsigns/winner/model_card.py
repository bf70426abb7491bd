"""The winner's human-readable model card, `winner/README.md`, generated from its records.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from handsigns.console.format import percent, percent_interval
from handsigns.console.program import CONSOLE_SCRIPT
from handsigns.console.sanitize import escape_markdown
from handsigns.data.imbalance import rare_classes
from handsigns.io.atomic import write_text
from handsigns.results.class_scores import confused_pairs, omission_note, worst_classes
from handsigns.results.statistics import num_val_images
from handsigns.results.store import StoredSearch
from handsigns.results.test_result import TEST_FILE, TestResult, read_test_result
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import (
    CONFIG_FILE,
    README_FILE,
    ModelCard,
    RetrainingRecord,
    SelectionMethod,
    read_model_card,
    read_retraining,
)
from handsigns.stats.intervals import wilson_interval
from handsigns.winner.model_card_data import data_section
from handsigns.winner.model_card_exports import exports_section
from handsigns.winner.model_card_usage import usage_section

_MAX_CONFUSIONS = 5
_MAX_CLASSES = 30
_SELECTION_TEXT: dict[SelectionMethod, str] = {
    "rank": "ranked first on its leaderboard",
    "re-evaluation": "the best of the top trials re-evaluated with fresh seeds",
    "user": "picked by hand",
    "smallest": "chosen for its size",
}
_LICENSE_PLACEHOLDER = (
    "State here the terms under which this model, and the images that it was trained on, may be "
    "used."
)


def write_readme(
    folder: Path,
    card: ModelCard,
    search: StoredSearch,
    training: RetrainingRecord,
    test: TestResult | None,
) -> None:
    """Write the model card into `folder`.

    The text under Licence that the user wrote into the card of the current winner is kept.

    Args:
        test: test result; None if the winner has not been tested yet.
    """
    trial = search.trial(card.trial_id)
    parts = [
        _overview_section(card),
        usage_section(card),
        data_section(search.data.info),
        _training_section(card, training),
        _metrics_section(search, trial, test),
        exports_section(folder),
        _limitations_section(test),
        _license_section(search.paths.winner / README_FILE),
    ]
    write_text(folder / README_FILE, "\n\n".join(filter(None, parts)) + "\n")


def rewrite_readme(search: StoredSearch) -> None:
    """Write the model card of a search's winner again, from its records.

    Raises:
        ResultsError: a record is missing or damaged.
    """
    folder = search.paths.winner
    card, training = read_model_card(folder), read_retraining(folder)
    write_readme(folder, card, search, training, read_test_result(folder))


def _overview_section(card: ModelCard) -> str:
    classes = ", ".join(map(escape_markdown, card.classes[:_MAX_CLASSES]))
    if (more := len(card.classes) - _MAX_CLASSES) > 0:
        classes += f" and {more} more (all are in `{CONFIG_FILE}`)"
    return (
        f"# {escape_markdown(card.search)}\n\n"
        f"An image classifier made by handsigns: it takes a colour image, cropped and resized to "
        f"{card.size}x{card.size} pixels, and returns a probability for each of "
        f"{len(card.classes)} classes: {classes}.\n\n"
        f"The configuration is that of trial {escape_markdown(card.trial_id)} of the search "
        f"{escape_markdown(card.search)}, {_SELECTION_TEXT[card.selected_by]}"
        f"{f' ({escape_markdown(card.selection_note)})' if card.selection_note else ''}. Code "
        f"revision: "
        f"{escape_markdown(card.git_revision or 'unknown')}."
    )


def _license_section(path: Path) -> str:
    """Return the licence section, with the user's text if there is one."""
    # An editor may have written other ends of lines, and a byte that is not UTF-8.
    before = path.read_text("utf-8", errors="replace") if path.exists() else ""
    _, *text = re.split(r"^## Licence[ \t]*\n", before, maxsplit=1, flags=re.MULTILINE)
    return "## Licence\n\n" + (text[0].strip() if text else _LICENSE_PLACEHOLDER)


def _training_section(card: ModelCard, training: RetrainingRecord) -> str:
    diverged = sum(run.diverged for run in training.runs)
    seeds = ", ".join(str(run.seed) for run in training.runs)
    lost = f", of which {diverged} diverged" if diverged else ""
    values = card.config.hyperparameters().items()
    rows = [
        f"| {escape_markdown(name)} | {escape_markdown(str(value))} |" for name, value in values
    ]
    return "\n".join(
        [
            "## Training",
            "",
            f"Trained on train and validation split combined: {training.num_train_images} images, "
            f"{card.epochs} epochs. Fresh seeds: {seeds}{lost}. Kept: "
            f"{_describe_kept(card)} ({escape_markdown(training.selection_rule)}). Total time: "
            f"{training.seconds:.1f} s on {escape_markdown(training.device)}.",
            "",
            "| hyperparameter | value |",
            "| --- | --- |",
            *rows,
        ]
    )


def _class_averages(test: TestResult) -> Iterator[str]:
    """Yield the scores in which every class counts the same, where a class is rare."""
    if rare_classes(test.class_sizes):
        balanced, f1 = percent(test.balanced_accuracy), percent(test.macro_f1)
        yield f"- Balanced test accuracy: {balanced}. Macro F1 on the test split: {f1}."


def _describe_kept(card: ModelCard) -> str:
    if len(card.seeds) == 1:
        return f"seed {card.seeds[0]}"
    return f"{len(card.seeds)} models with averaged probabilities"


def _metrics_section(search: StoredSearch, trial: TrialRecord, test: TestResult | None) -> str:
    lines = ["## Metrics", ""]
    if trial.last_epoch is not None:
        accuracy = _validation_accuracy(search, trial, trial.last_epoch.val_accuracy)
        lines += [
            f"- Validation accuracy in the search: {accuracy}. This is "
            f"optimistic: the configuration was selected on these images, among "
            f"{len(search.journal.records)} trials. It is the accuracy of the trial's model, not "
            f"of this one, which was trained on these images, too."
        ]
        if (objective := search.config.objective).score != "val_accuracy":
            score = percent(objective.score_of(trial.last_epoch))
            lines += [f"- {objective.score_label.capitalize()} in the search: {score}."]
    if test is None:
        return "\n".join([*lines, f"- Test accuracy: not tested yet ({CONSOLE_SCRIPT} test)."])
    scores = worst_classes(test, _MAX_CLASSES)
    lines += [
        f"- Test accuracy: {test.accuracy:.2%}, {test.correct}/{test.total} correct, "
        f"95 % confidence interval {percent_interval(test.interval, 2)} (Wilson). "
        f"{_test_evaluations_note(test)}{_duplicates_note(test)}",
        *_class_averages(test),
        f"- Expected calibration error on the test split: {test.calibration.ece:.3f}.",
        "",
        "| class | precision | recall | test images |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {escape_markdown(row['class'])} | {percent(row['precision'], 1)} "
        f"| {percent(row['recall'], 1)} | {row['images']} |"
        for row in scores
    ]
    if note := omission_note(len(scores), len(test.classes), f"`{TEST_FILE}`"):
        lines += ["", f"These are {note}."]
    return "\n".join(lines)


def _validation_accuracy(search: StoredSearch, trial: TrialRecord, accuracy: float) -> str:
    total = num_val_images(search, trial)
    if not total:
        return f"{percent(accuracy)}, on images that have changed since"
    num_correct = round(accuracy * total)
    interval = wilson_interval(num_correct, total)
    return (
        f"{num_correct / total:.2%}, {num_correct}/{total} correct, "
        f"95 % confidence interval {percent_interval(interval, 2)} (Wilson)"
    )


def _duplicates_note(test: TestResult) -> str:
    """Return a note on test images with near-duplicates in the training data, if any."""
    correct, total = test.excluding_duplicates
    if total == test.total:
        return ""
    share = f", {correct / total:.2%}" if total else ""
    return (
        f" {test.total - total} of these images have near-duplicates in train or val; of the other "
        f"{total}, {correct} are correct{share}."
    )


def _test_evaluations_note(test: TestResult) -> str:
    times = "once" if test.test_evaluations == 1 else f"{test.test_evaluations} times"
    text = f"The test split of this search has been opened {times}."
    if test.test_evaluations > 1:
        text += " Only the first result is unbiased by later choices."
    if test.selected_after_test:
        text += (
            " This trial was chosen by the user after a test result was known: its test accuracy "
            "is a biased estimate."
        )
    return text


def _limitations_section(test: TestResult | None) -> str:
    lines = [
        "## Limitations",
        "",
        f"It was {'trained and tested' if test else 'trained'} on images of a single source. "
        "Other cameras, lighting, backgrounds and people are untested, and so are other "
        "appearances of a class. It cannot reject images that show none of its classes: they are "
        "assigned one nevertheless.",
    ]
    if test is not None:
        lines += ["", _confusions(test)]
    return "\n".join(lines)


def _confusions(test: TestResult) -> str:
    found = confused_pairs(test)[:_MAX_CONFUSIONS]
    if not found:
        return (
            f"It misclassified none of the {test.total} test images, which are too few to expect "
            f"no errors on others."
        )
    lines = [
        f"- true {escape_markdown(test.classes[true])}, "
        f"predicted {escape_markdown(test.classes[predicted])}: "
        f"{count} of {sum(test.confusion_matrix[true])}"
        for count, true, predicted in found
    ]
    return "\n".join(["Its most frequent misclassifications on the test split:", "", *lines])
