"""What is wrong, or worth knowing, of a data set, in the user's words."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from handsigns.console.sanitize import printable
from handsigns.data.layouts import BadFile, Picture
from handsigns.data.splits import SPLIT_NAMES, Split, SplitName
from handsigns.errors import DataError
from handsigns.io.digest import digest

_LISTED = 50
"""Bad files named in one error."""
_NAMED = 3
"""Bad files named in a note."""
_ADVICE: dict[SplitName, str] = {
    "train": "put some there, or remove what is no class",
    "val": "put some there, or move the folder away, so that a split is carved out of train",
    "test": "put some there, or move the folder away, so that a split is carved out of train",
}
_TOO_FEW = (
    "there are too few to carve one out of train: give each class at least three images in all, or "
    "leave out those that have fewer"
)


def bad_files_error(source: str, bad: Sequence[BadFile]) -> DataError:
    """One error that lists the bad files, each with its reason, and the remedy."""
    count = "a file" if len(bad) == 1 else f"{len(bad)} files"
    lines = [f"{printable(source)} has {count} that cannot be used:"]
    lines += [f"  {printable(b.name)}: {printable(b.reason)}" for b in bad[:_LISTED]]
    if len(bad) > _LISTED:
        lines.append(f"  … and {len(bad) - _LISTED} more")
    lines += dict.fromkeys(b.remedy for b in bad if b.remedy)
    lines.append("mend or remove them, or go on without them: --skip-bad")
    return DataError("\n".join(lines))


def skipped_notes(bad: Sequence[BadFile]) -> list[str]:
    """A note on the bad files that were passed over; none if there were none."""
    if not bad:
        return []
    count = "1 bad file was" if len(bad) == 1 else f"{len(bad)} bad files were"
    named = ", ".join(f"{printable(b.name)} ({printable(b.reason)})" for b in bad[:_NAMED])
    return [f"{count} skipped: {named}" + (", …" if len(bad) > _NAMED else "")]


def unread_notes(unread: Sequence[str]) -> list[str]:
    """A note on the images beside those that were read; none if there were none."""
    if not unread:
        return []
    named = ", ".join(printable(name) for name in unread[:_NAMED])
    more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
    return [f"not read, as the layout does not name them: {named}{more}"]


def check_complete(
    source: str,
    pictures: Mapping[SplitName, Sequence[Picture]],
    classes: Sequence[str],
    given: Collection[SplitName] = SPLIT_NAMES,
) -> None:
    """Refuse a data set with fewer than two classes, or a split that lacks one.

    Args:
        given: the splits that the user has; the others were carved out of train.

    Raises:
        DataError: names every class and split in question.
    """
    problems = []
    if len(classes) < 2:
        names = "".join(f" ({printable(label)})" for label in classes)
        problems.append(
            f"only {len(classes)} class{names}, but telling apart needs two or more: a folder each"
        )
    for split, members in pictures.items():
        advice = _ADVICE[split] if split in given else _TOO_FEW
        counts = Counter(p.label for p in members)
        if not members:
            problems.append(f"the {split} split is empty; {advice}")
        elif missing := [printable(label) for label in classes if not counts[label]]:
            kinds = "class" if len(missing) == 1 else "the classes"
            named = ", ".join(missing[:_LISTED])
            problems.append(f"the {split} split has no picture of {kinds} {named}; {advice}")
    if problems:
        raise DataError(f"{printable(source)}: " + "; ".join(problems))


def digests(split: Split) -> list[str]:
    """Each picture's, by which pictures of the same pixels are known."""
    return [digest(image.tobytes()) for image in split.images]


def shared_pictures(splits: Mapping[SplitName, Split]) -> Iterator[str]:
    """A note for each two splits that have pictures, by their pixels, in common."""
    found = {name: digests(split) for name, split in splits.items()}
    for first, second in itertools.combinations(SPLIT_NAMES, 2):
        known = set(found[first])
        shared = [place for place, digest in enumerate(found[second]) if digest in known]
        if shared:
            example = printable(splits[second].names[shared[0]])
            yield (
                f"{len(shared)} of the {len(splits[second])} {second} pictures are in {first} "
                f"({len(splits[first])}) too, for example {example}; scores on {second} will look "
                f"better than they are"
            )
