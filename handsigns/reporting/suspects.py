"""Suspect labels of a search, as rows and lines of text."""

from __future__ import annotations

from handsigns.console.format import percent, percent_interval, pluralize
from handsigns.results.paths import SearchPaths
from handsigns.results.suspects import MIN_MODELS, LeakEffect, SuspectLabel, SuspectLabels

COLUMNS = ("image", "split", "label", "suggested", "probability", "agree")
TEXT_COLUMNS = ("image", "split", "label", "suggested")


def table_row(suspect: SuspectLabel) -> list[str]:
    """Return a cell for each of `COLUMNS`."""
    image = suspect.image
    return [
        image.name,
        image.split,
        image.label,
        suspect.suggested,
        f"{suspect.probability:.2f}",
        agreement(suspect),
    ]


def agreement(suspect: SuspectLabel) -> str:
    """Return how many of the models predict the suggested class."""
    return f"{round(suspect.agreement * suspect.models)} of {suspect.models}"


def describe_leak_effect(effect: LeakEffect) -> str:
    """Return the accuracy on val with and without the images that leaked, without full stop."""
    models = pluralize(effect.num_models, "good model")
    accuracy = percent(effect.accuracy)
    return (
        f"{pluralize(effect.num_leaked, 'val image')} share a group with training images, as "
        f"near-duplicates do; "
    ) + (
        f"there are no others, so that the mean accuracy of {models}, {accuracy}, says nothing of "
        f"new images"
        if effect.accuracy_without is None
        else f"without them, the mean accuracy of {models} is {percent(effect.accuracy_without)}, "
        f"not {accuracy}"
    )


def summary_lines(
    suspects: SuspectLabels, paths: SearchPaths, program_name: str | None = None
) -> list[str]:
    """Return what was judged, how many labels are suspect, and the accuracy that they allow."""
    judged = " and ".join(
        f"{suspects.judged[split]} of {total} {split}" for split, total in suspects.images.items()
    )
    lines = [
        f"{pluralize(suspects.models, 'model')} judged {judged} images, with an accuracy of "
        f"{percent(suspects.accuracy)}; {pluralize(suspects.num_suspects, 'label')} "
        f"{'is' if suspects.num_suspects == 1 else 'are'} suspect.",
    ]
    if suspects.interval is not None:
        lines.append(
            f"Nearly all models miss {suspects.missed} of the {suspects.compared} images that "
            f"{MIN_MODELS} or more judged, so that these labels allow an accuracy of about "
            f"{percent(suspects.attainable_accuracy)} (95 % confidence interval "
            f"{percent_interval(suspects.interval)})."
        )
    if suspects.wrong_share:
        lines.append(
            f"Confident learning estimates that {percent(suspects.wrong_share)} of the labels are "
            f"wrong."
        )
    elif suspects.suspects:
        lines.append(
            "Confident learning finds no wrong label: the models are less sure of these images "
            "than of others."
        )
    if suspects.judged.get("train", 0) < suspects.images.get("train", 0):
        command = paths.command(
            "reevaluate", "--folds", "4", *paths.trust_options, program_name=program_name
        )
        lines.append(f"A re-evaluation with folds judges the training images, too: {command}")
    return lines
