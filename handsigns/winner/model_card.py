"""The winner's model card for people, `winner/README.md`: Markdown, made from what is recorded.

Its parts follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from __future__ import annotations

from pathlib import Path

from handsigns.console.format import percent, percent_interval
from handsigns.console.program import INSTALLED
from handsigns.console.sanitize import inert
from handsigns.io.atomic import write_text
from handsigns.results.class_scores import confusions, left_out, worst_classes
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import (
    CONFIG_FILE,
    README_FILE,
    TEST_FILE,
    Chosen,
    ModelCard,
    RetrainingRecord,
    TestResult,
)
from handsigns.stats.intervals import wilson_interval
from handsigns.winner.model_card_data import data_section

_CONFUSIONS = 5
_LISTED_CLASSES = 30
_HOW_CHOSEN: dict[Chosen, str] = {
    "by rank": "the best of its leaderboard",
    "by re-evaluation": "the best of those that were trained again with fresh seeds",
    "by hand": "picked by hand",
}
_LICENCE = "## Licence\n\n"
_NO_LICENCE = (
    "Whoever trained this model has to say under which terms it, and the pictures it has learnt "
    "from, may be used. Write them here."
)


def write_readme(
    folder: Path,
    card: ModelCard,
    search: StoredSearch,
    training: RetrainingRecord,
    test: TestResult | None,
) -> None:
    """Write the model card into `folder`; what the user has written under Licence is kept.

    Args:
        test: None where the winner was not tested yet.
    """
    trial = search.trial(card.trial_id)
    parts = [
        _what_it_is(card),
        _how_to_use(card),
        data_section(search.data.info),
        _how_it_was_trained(card, training),
        _figures(search, trial, test),
        _limits(test),
        _licence(folder / README_FILE),
    ]
    write_text(folder / README_FILE, "\n\n".join(parts) + "\n")


def _what_it_is(card: ModelCard) -> str:
    classes = ", ".join(map(inert, card.classes[:_LISTED_CLASSES]))
    if (more := len(card.classes) - _LISTED_CLASSES) > 0:
        classes += f" and {more} more (all are in `{CONFIG_FILE}`)"
    return (
        f"# {inert(card.search)}\n\n"
        f"An image classifier made by handsigns: it takes a colour picture, cut and shrunk to "
        f"{card.size}x{card.size} pixels, and gives a probability for each of "
        f"{len(card.classes)} classes: {classes}.\n\n"
        f"The configuration is that of trial {inert(card.trial_id)} of the search "
        f"{inert(card.search)}, {_HOW_CHOSEN[card.chosen]}. Revision of the code: "
        f"{inert(card.git_revision or 'unknown')}."
    )


def _how_to_use(card: ModelCard) -> str:
    # Names of searches have no other characters; a card that was tampered with may.
    name = "".join(c for c in card.search if c.isascii() and (c.isalnum() or c in "._-"))
    return f"""## How to use it

```
{INSTALLED} predict {name} photo.jpg
{INSTALLED} serve {name}
{INSTALLED} export {name} --format onnx
```

```python
import handsigns

winner = handsigns.load_winner("{name}")
for prediction in handsigns.predict(winner, ["photo.jpg"]):
    print(prediction.label, prediction.probabilities)
```

`model.safetensors` holds the weights and `config.yaml` all that is needed to rebuild the network;
neither runs code when it is loaded."""


def _licence(path: Path) -> str:
    """The user's, where there is one."""
    before = path.read_bytes().decode(errors="replace") if path.exists() else ""
    _, heading, text = before.partition(_LICENCE)
    return _LICENCE + (text.strip() if heading else _NO_LICENCE)


def _how_it_was_trained(card: ModelCard, training: RetrainingRecord) -> str:
    diverged = sum(run.diverged for run in training.runs)
    seeds = ", ".join(str(run.seed) for run in training.runs)
    lost = f", of which {diverged} diverged" if diverged else ""
    values = card.config.hyperparameters().items()
    rows = [f"| {inert(name)} | {inert(str(value))} |" for name, value in values]
    return "\n".join(
        [
            "## Training",
            "",
            f"On train and validation split together, {training.train_pictures} pictures, for "
            f"{card.epochs} epochs. Fresh seeds, trained one after another: {seeds}{lost}. Kept: "
            f"{_kept(card)} ({inert(training.kept_by)}). All took "
            f"{training.seconds:.1f} s on {inert(training.device)}.",
            "",
            "| hyperparameter | value |",
            "| --- | --- |",
            *rows,
        ]
    )


def _kept(card: ModelCard) -> str:
    if len(card.seeds) == 1:
        return f"seed {card.seeds[0]}"
    return f"{len(card.seeds)} models, whose probabilities are averaged"


def _figures(search: StoredSearch, trial: TrialRecord, test: TestResult | None) -> str:
    lines = ["## Figures", ""]
    if trial.last is not None:
        total = sum(search.data.info.counts["val"])
        right = round(trial.last.val_accuracy * total)
        interval = wilson_interval(right, total)
        lines += [
            f"- Validation accuracy in the search: {right / total:.2%}, {right} of {total} "
            f"pictures, 95 % interval {percent_interval(interval, 2)} (Wilson). This is "
            f"optimistic: the configuration was chosen by these pictures, among "
            f"{len(search.journal.records)} trials. It is of the trial's model, not of this one, "
            f"which has learnt from these pictures."
        ]
    if test is None:
        return "\n".join([*lines, f"- Test accuracy: not tested yet ({INSTALLED} test)."])
    scores = worst_classes(test, _LISTED_CLASSES)
    lines += [
        f"- Test accuracy: {test.accuracy:.2%}, {test.correct} of {test.total} pictures, "
        f"95 % interval {percent_interval(test.interval, 2)} (Wilson). "
        f"{_how_honest(test)}{_of_unseen(test)}",
        f"- Expected calibration error on the test split: {test.calibration.ece:.3f}.",
        "",
        "| class | precision | recall | test pictures |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {inert(row['class'])} | {percent(row['precision'], 1)} | {percent(row['recall'], 1)} | "
        f"{row['pictures']} |"
        for row in scores
    ]
    if note := left_out(len(scores), len(test.classes), f"`{TEST_FILE}`"):
        lines += ["", f"These are {note}."]
    return "\n".join(lines)


def _of_unseen(test: TestResult) -> str:
    """Where pictures of the test split are, by their pixels, also among those learnt from."""
    correct, total = test.unseen
    if total == test.total:
        return ""
    share = f", {correct / total:.2%}" if total else ""
    return (
        f" {test.total - total} of these pictures are also in train or val; of the other "
        f"{total} it has {correct} right{share}."
    )


def _how_honest(test: TestResult) -> str:
    times = "once" if test.openings == 1 else f"{test.openings} times"
    text = f"The test split of this search has been opened {times}."
    if test.openings > 1:
        text += " Only the first result is free of choices made after it."
    if test.chosen_after_test:
        text += (
            " This trial was picked by hand after a test result was known: its figure is no "
            "honest estimate."
        )
    return text


def _limits(test: TestResult | None) -> str:
    lines = [
        "## Limits",
        "",
        f"It was {'made and tested' if test else 'made'} on pictures of this one source alone. "
        "Other cameras, light, backgrounds and people are untested, and so is whatever else a "
        "class may look like. It has no class for pictures that show none of its classes: those "
        "get one all the same.",
    ]
    if test is not None:
        lines += ["", _confusions(test)]
    return "\n".join(lines)


def _confusions(test: TestResult) -> str:
    found = confusions(test)[:_CONFUSIONS]
    if not found:
        return (
            f"It made no mistake on the {test.total} test pictures, which are too few to expect "
            f"none."
        )
    lines = [
        f"- true {inert(test.classes[true])}, predicted {inert(test.classes[predicted])}: "
        f"{count} of {sum(test.confusion[true])}"
        for count, true, predicted in found
    ]
    return "\n".join(["Its most frequent misclassifications on the test split:", "", *lines])
