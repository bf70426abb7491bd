"""The one entry to all data: a folder of photographs, or the drawn hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from handsigns.data import cache as pack
from handsigns.data.cache import Pack, Splits, fingerprint, packed
from handsigns.data.holdout import SPLIT_SEED, carve_missing
from handsigns.data.images import BadPictureError, Pixels, decode, read_bytes
from handsigns.data.layouts import BadFile, Listing, Picture, list_pictures
from handsigns.data.parallel import Progress, for_each, no_report
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.data.validate import (
    bad_files_error,
    check_complete,
    shared_pictures,
    skipped_notes,
    unread_notes,
)
from handsigns.io.digest import digest

DRAWN_COUNTS: dict[SplitName, int] = {"train": 1500, "val": 300, "test": 300}
DRAWN_SOURCE = "drawn hands"

T = TypeVar("T")


@dataclass(frozen=True)
class DataSet:
    """An open data set. The test split stays closed until `open_test`."""

    info: DataInfo
    train: Split
    val: Split
    pack: Pack

    @property
    def trial_bytes(self) -> int:
        """Of the pictures that every trial uses: train and validation."""
        return self.train.images.nbytes + self.val.images.nbytes

    def open_test(self) -> Split:
        """The test split; only the `test` command calls this."""
        return self.pack.open_split("test")


def open_data(
    source: Path | None,
    *,
    size: int = 64,
    skip_bad: bool = False,
    progress: Progress = no_report,
) -> DataSet:
    """Open a data set, decoding it if that was not done before.

    Args:
        source: a folder in one of the layouts of `formats`; None draws hands.
        size: height and width of the packed images in pixels.
        skip_bad: go on without files that cannot be used.
        progress: told of every picture decoded; not called where nothing has to be.

    Raises:
        DataError: the folder, or files in it, cannot be used; every bad file is listed.
    """
    if source is None:
        found = _drawn(size, progress)
    else:
        found = _photographs(source, size, skip_bad, progress)
    return DataSet(found.info, found.open_split("train"), found.open_split("val"), found)


def _drawn(size: int, report: Progress) -> Pack:
    # Drawing needs modules that a search on photographs does not.
    from handsigns.data.synthetic import CLASSES, VERSION, draw_hands

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
    resolved = str(source.resolve())

    def build() -> tuple[DataInfo, Splits]:
        pixels, undecodable = _each(listing, lambda path: decode(read_bytes(path), size), report)
        bad = (*listing.bad, *undecodable)
        if bad and not skip_bad:
            raise bad_files_error(str(source), bad)
        return _assemble(resolved, listing, pixels, bad, size)

    key = _key("photographs", size, skip_bad, SPLIT_SEED, *_content(listing))
    return packed(key, resolved, build)


def _content(listing: Listing) -> tuple[object, ...]:
    """All of the folder that decides the packed data set."""
    digests, unreadable = _each(listing, _digest)
    pictures = [
        (split, p.name, p.label, digests.get(p.name))
        for split, members in listing.pictures.items()
        for p in members
    ]
    return listing.classes, pictures, listing.bad, listing.unread, unreadable


def _digest(path: Path) -> str:
    return digest(read_bytes(path))


def _each(
    listing: Listing, make: Callable[[Path], T], report: Progress = no_report
) -> tuple[dict[str, T], list[BadFile]]:
    """What `make` makes of each picture, by name, and those it cannot use."""

    def attempt(picture: Picture) -> T | BadFile:
        try:
            return make(picture.path)
        except BadPictureError as error:
            return BadFile(picture.name, str(error))

    pictures = [p for members in listing.pictures.values() for p in members]
    made: dict[str, T] = {}
    bad = []
    for picture, result in zip(pictures, for_each(attempt, pictures, report), strict=True):
        if isinstance(result, BadFile):
            bad.append(result)
        else:
            made[picture.name] = result
    return made, bad


def _assemble(
    source: str, listing: Listing, pixels: Mapping[str, Pixels], bad: Sequence[BadFile], size: int
) -> tuple[DataInfo, Splits]:
    usable = {
        split: [p for p in members if p.name in pixels]
        for split, members in listing.pictures.items()
    }
    check_complete(source, usable, listing.classes)
    pictures, notes = carve_missing(usable, SPLIT_SEED)
    check_complete(source, pictures, listing.classes, given=usable)
    splits = {name: _split(pictures[name], listing.classes, pixels) for name in SPLIT_NAMES}
    notes += [*skipped_notes(bad), *unread_notes(listing.unread), *shared_pictures(splits)]
    return _info(source, listing.classes, size, splits, notes), splits


def _split(
    members: Sequence[Picture], classes: tuple[str, ...], pixels: Mapping[str, Pixels]
) -> Split:
    return Split(
        np.stack([pixels[p.name] for p in members]),
        np.array([classes.index(p.label) for p in members], np.int64),
        tuple(p.name for p in members),
    )


def _info(
    source: str, classes: tuple[str, ...], size: int, splits: Splits, notes: Sequence[str]
) -> DataInfo:
    counts = {
        name: tuple(np.bincount(split.labels, minlength=len(classes)).tolist())
        for name, split in splits.items()
    }
    return DataInfo(source, fingerprint(splits, classes, size), classes, size, counts, tuple(notes))


def _key(*parts: object) -> str:
    return digest(repr((pack.FORMAT, parts)))
