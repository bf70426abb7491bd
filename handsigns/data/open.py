"""The one entry to all data: a folder of photographs, or the drawn hands."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from handsigns.data import pack
from handsigns.data.carve import carve_missing
from handsigns.data.formats import BadFile, Listing, Picture, list_pictures
from handsigns.data.pack import Pack, Splits, fingerprint, packed
from handsigns.data.pictures import BadPictureError, Pixels, decode, read_bytes
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.errors import DataError
from handsigns.text import printable

DRAWN_COUNTS: dict[SplitName, int] = {"train": 1500, "val": 300, "test": 300}
DRAWN_SOURCE = "drawn hands"
SPLIT_SEED = 230
"""Of carved splits: always the same, so that searches with other seeds share their test split."""

_LISTED = 50
"""Bad files named in one error."""

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the number of pictures done and of all."""


@dataclass(frozen=True)
class DataSet:
    """An open data set. The test split stays closed until `open_test`."""

    info: DataInfo
    train: Split
    val: Split
    pack: Pack

    def open_test(self) -> Split:
        """The test split; only the `test` command calls this."""
        return self.pack.open_split("test")


def open_data(
    source: Path | None,
    *,
    size: int = 64,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> DataSet:
    """Open a data set, decoding it if that was not done before.

    Args:
        source: a folder in one of the layouts of `formats`; None draws hands.
        size: height and width of the packed images in pixels.
        skip_bad: go on without files that cannot be used.

    Raises:
        DataError: the folder, or files in it, cannot be used; every bad file is listed.
    """
    report = progress or _no_report
    found = _drawn(size, report) if source is None else _photographs(source, size, skip_bad, report)
    return DataSet(found.info, found.open_split("train"), found.open_split("val"), found)


def _drawn(size: int, report: Progress) -> Pack:
    # Drawing needs modules that a search on photographs does not.
    from handsigns.data.drawn import CLASSES, VERSION, draw_hands

    def build() -> tuple[DataInfo, Splits]:
        splits: dict[SplitName, Split] = {}
        for number, (name, count) in enumerate(DRAWN_COUNTS.items()):
            images, labels = draw_hands(count, seed=number, size=size)
            names = tuple(f"{name}/{CLASSES[label]}_{i:04d}" for i, label in enumerate(labels))
            splits[name] = Split(images, labels, names)
            report(sum(len(split) for split in splits.values()), sum(DRAWN_COUNTS.values()))
        return _info(DRAWN_SOURCE, CLASSES, size, splits, ()), splits

    return packed(_key("drawn", VERSION, DRAWN_COUNTS, size), DRAWN_SOURCE, build)


def _photographs(source: Path, size: int, skip_bad: bool, report: Progress) -> Pack:
    listing = list_pictures(source)
    digests, unreadable = _each(listing, _digest)
    parts = [
        (split, p.name, p.label, digests[p.name])
        for split, pictures in listing.pictures.items()
        for p in pictures
        if p.name in digests
    ]
    bad = (*listing.bad, *unreadable)
    key = _key("photographs", listing.classes, parts, bad, size, skip_bad, SPLIT_SEED)
    resolved = str(source.resolve())

    def build() -> tuple[DataInfo, Splits]:
        pixels, undecodable = _each(listing, lambda path: decode(read_bytes(path), size), report)
        refused = (*listing.bad, *undecodable)
        if refused and not skip_bad:
            raise bad_files_error(source, refused)
        return _assemble(resolved, listing, pixels, refused, size)

    return packed(key, resolved, build)


def _digest(path: Path) -> str:
    return hashlib.blake2b(read_bytes(path), digest_size=16).hexdigest()


def _no_report(done: int, total: int) -> None:
    """For work that takes a moment only."""


def _each(
    listing: Listing, make: Callable[[Path], T], report: Progress = _no_report
) -> tuple[dict[str, T], list[BadFile]]:
    """What `make` makes of each picture, by name, and those it cannot use."""

    def attempt(picture: Picture) -> T | BadFile:
        try:
            return make(picture.path)
        except BadPictureError as error:
            return BadFile(picture.name, str(error))

    pictures = [p for split in listing.pictures.values() for p in split]
    made: dict[str, T] = {}
    bad = []
    # Threads serve: reading, hashing and Pillow let go of the interpreter.
    with ThreadPoolExecutor() as pool:
        results = zip(pictures, pool.map(attempt, pictures), strict=True)
        for done, (picture, result) in enumerate(results, 1):
            if isinstance(result, BadFile):
                bad.append(result)
            else:
                made[picture.name] = result
            report(done, len(pictures))
    return made, bad


def _assemble(
    source: str, listing: Listing, pixels: dict[str, Pixels], bad: Sequence[BadFile], size: int
) -> tuple[DataInfo, Splits]:
    usable = {
        split: [p for p in pictures if p.name in pixels]
        for split, pictures in listing.pictures.items()
    }
    _check_complete(source, {"train": usable["train"]}, listing.classes)
    pictures, notes = carve_missing(usable, SPLIT_SEED)
    _check_complete(source, pictures, listing.classes)
    splits: dict[SplitName, Split] = {}
    for name in SPLIT_NAMES:
        members = pictures[name]
        splits[name] = Split(
            np.stack([pixels[p.name] for p in members]),
            np.array([listing.classes.index(p.label) for p in members], np.int64),
            tuple(p.name for p in members),
        )
    if bad:
        named = ", ".join(printable(b.name) for b in bad[:3]) + (", …" if len(bad) > 3 else "")
        notes.append(f"{len(bad)} bad files were skipped: {named}")
    notes += _duplicates(splits)
    return _info(source, listing.classes, size, splits, notes), splits


def _info(
    source: str, classes: tuple[str, ...], size: int, splits: Splits, notes: Sequence[str]
) -> DataInfo:
    counts = {
        name: tuple(np.bincount(split.labels, minlength=len(classes)).tolist())
        for name, split in splits.items()
    }
    return DataInfo(source, fingerprint(splits, classes, size), classes, size, counts, tuple(notes))


def _check_complete(
    source: str, pictures: dict[SplitName, list[Picture]], classes: tuple[str, ...]
) -> None:
    """Every split has pictures of every class."""
    problems = []
    if len(classes) < 2:
        problems.append(f"{len(classes)} class, but telling apart needs two or more")
    for split, members in pictures.items():
        counts = Counter(p.label for p in members)
        if not members:
            problems.append(f"the {split} split is empty")
        else:
            problems += [
                f"the {split} split has no picture of class {printable(label)}"
                for label in classes
                if not counts[label]
            ]
    if problems:
        raise DataError(f"{printable(source)}: " + "; ".join(problems))


def _duplicates(splits: Splits) -> Iterator[str]:
    """A note for each two splits that share pictures."""
    digests = {
        name: {
            hashlib.blake2b(image.tobytes(), digest_size=16).digest(): i
            for i, image in enumerate(split.images)
        }
        for name, split in splits.items()
    }
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        a, b = splits[first], splits[second]  # type: ignore[index]
        shared = sorted(digests[second][d] for d in digests[first] if d in digests[second])  # type: ignore[index]
        if shared:
            example = printable(b.names[shared[0]])
            yield (
                f"{len(shared)} of the {len(b)} {second} pictures are in {first} ({len(a)}) too, "
                f"for example {example}; scores on {second} will look better than they are"
            )


def bad_files_error(source: Path, bad: Sequence[BadFile]) -> DataError:
    """One error that lists the bad files, each with its reason."""
    lines = [f"  {printable(b.name)}: {printable(b.reason)}" for b in bad[:_LISTED]]
    if len(bad) > _LISTED:
        lines.append(f"  … and {len(bad) - _LISTED} more")
    count = "a file" if len(bad) == 1 else f"{len(bad)} files"
    return DataError(
        "\n".join(
            [
                f"{printable(str(source))} has {count} that cannot be used:",
                *lines,
                "mend or remove them, or go on without them: --skip-bad",
            ]
        )
    )


def _key(*parts: object) -> str:
    text = repr((pack.FORMAT, parts)).encode(errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=16).hexdigest()
