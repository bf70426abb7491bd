"""Validation of a data set: errors and notes for the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.sanitize import printable
from handsigns.data.listing import BadFile, ImageFile
from handsigns.data.near_duplicates import image_digests
from handsigns.data.splits import SPLIT_NAMES, Split, SplitName
from handsigns.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MAX_LISTED = 50
"""Bad files listed in an error."""
_MAX_NAMED = 3
"""Bad files listed in a note."""
SPLIT_OFF_ADVICE = (
    "leave out the split (its folder, or its rows in labels.csv) to have one split off from train"
)
_ADVICE: dict[SplitName, str] = {
    "train": "add some, or remove folders or labels that are not classes",
    "val": f"add some, or {SPLIT_OFF_ADVICE}",
    "test": f"add some, or {SPLIT_OFF_ADVICE}",
}
_TOO_FEW = (
    "train has too few images to split one off: give each class at least three images (in "
    "different groups, if there are groups), or leave out smaller classes"
)


def bad_files_error(source: str, bad: Sequence[BadFile]) -> DataError:
    """Return the error that lists the bad files with their reasons and remedies."""
    count = "1 unusable file" if len(bad) == 1 else f"{len(bad)} unusable files"
    lines = [f"{printable(source)} has {count}:"]
    lines += [f"  {printable(b.name)}: {printable(b.reason)}" for b in bad[:_MAX_LISTED]]
    if len(bad) > _MAX_LISTED:
        lines.append(f"  … and {len(bad) - _MAX_LISTED} more")
    lines += dict.fromkeys(b.remedy for b in bad if b.remedy)
    lines.append("fix or remove them, or skip them with --skip-bad")
    return DataError("\n".join(lines))


def skipped_notes(bad: Sequence[BadFile]) -> list[str]:
    """Return a note on the bad files that were skipped, if any."""
    if not bad:
        return []
    count = "1 bad file was" if len(bad) == 1 else f"{len(bad)} bad files were"
    named = ", ".join(f"{printable(b.name)} ({printable(b.reason)})" for b in bad[:_MAX_NAMED])
    return [f"{count} skipped: {named}" + (", …" if len(bad) > _MAX_NAMED else "")]


def ignored_notes(ignored: Sequence[str]) -> list[str]:
    """Return a note on the images that are not part of the layout, if any."""
    if not ignored:
        return []
    named = ", ".join(printable(name) for name in ignored[:_MAX_NAMED])
    more = f" and {len(ignored) - _MAX_NAMED} more" if len(ignored) > _MAX_NAMED else ""
    return [f"ignored, as not part of the layout: {named}{more}"]


def remark_notes(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a note on each of the remarks of the decoder, which are given by image."""
    names: dict[str, list[str]] = {}
    for name, texts in remarks.items():
        for text in texts:
            names.setdefault(text, []).append(name)
    return [
        f"{len(named)} of {len(remarks)} images: {text} (for example {printable(named[0])})"
        for text, named in names.items()
    ]


def check_complete(
    source: str,
    images: Mapping[SplitName, Sequence[ImageFile]],
    classes: Sequence[str],
    provided: Collection[SplitName] = SPLIT_NAMES,
) -> None:
    """Check that there are at least two classes, and images of every class in every split.

    Args:
        source: name of the data set, for the error.
        images: the images by split.
        classes: all class names.
        provided: the splits that the user has; the others were split off from train.

    Raises:
        DataError: names every class and split in question.
    """
    problems = []
    if len(classes) < 2:
        names = "".join(f" ({printable(label)})" for label in classes)
        problems.append(f"only {len(classes)} class{names}; classification needs at least two")
    for split, members in images.items():
        advice = _ADVICE[split] if split in provided else _TOO_FEW
        counts = Counter(p.label for p in members)
        if not members:
            problems.append(f"the {split} split is empty; {advice}")
        elif missing := [printable(label) for label in classes if not counts[label]]:
            kinds = "class" if len(missing) == 1 else "classes"
            named = ", ".join(missing[:_MAX_LISTED])
            problems.append(f"the {split} split has no images of {kinds} {named}; {advice}")
    if problems:
        raise DataError(f"{printable(source)}: " + "; ".join(problems))


@dataclass(frozen=True)
class Leak:
    """Images of a split of which those before it have near-duplicates, or images of their groups.

    Attributes:
        split: the split with the leaked images, ``val`` or ``test``.
        others: the splits before it, from which the model that it scores has learned.
        images: indices of the images in `split`.
        num_identical: number of them whose pixels are also in `others`.
    """

    split: SplitName
    others: tuple[SplitName, ...]
    images: tuple[int, ...]
    num_identical: int


def find_leaks(splits: Mapping[SplitName, Split]) -> list[Leak]:
    """Return the leaks from train into val, and from both into test."""
    found = []
    for number, name in enumerate(SPLIT_NAMES[1:], 1):
        split, others = splits[name], SPLIT_NAMES[:number]
        before = [splits[other] for other in others]
        indices = tuple(shared_images(split, *before).nonzero()[0].tolist())
        if indices:
            known = {key for other in before for key in image_digests(other.images)}
            digests = image_digests(split.images[index] for index in indices)
            found.append(Leak(name, others, indices, sum(d in known for d in digests)))
    return found


def shared_images(split: Split, *others: Split) -> npt.NDArray[np.bool_]:
    """Return which images (N,) of a split share their group with an image of the others."""
    import numpy as np

    if split.groups is None:
        return np.zeros(len(split), np.bool_)
    groups = [other.groups for other in others if other.groups is not None]
    return np.isin(split.groups, np.concatenate(groups))


def describe_leak(leak: Leak, split: Split, *, named: bool) -> str:
    """Return how many images of a split have near-duplicates in which others.

    Args:
        leak, split: the leak, and the split that it is into.
        named: whether the user named groups, of which images need not be near-duplicates.
    """
    kind = "near-duplicates or others of their group" if named else "near-duplicates"
    return (
        f"{len(leak.images)} of {len(split)} {leak.split} images have {kind} "
        f"in {' or '.join(leak.others)}"
    )


def leak_notes(
    leaks: Iterable[Leak], splits: Mapping[SplitName, Split], *, named: bool
) -> Iterator[str]:
    """Yield a note for each leak."""
    for leak in leaks:
        split, num_others = splits[leak.split], sum(len(splits[name]) for name in leak.others)
        yield (
            f"{describe_leak(leak, split, named=named)} "
            f"({num_others} images; {leak.num_identical} identical), for example "
            f"{printable(split.names[leak.images[0]])}; {leak.split} scores are optimistic"
        )
