"""Entry point to all data: a folder or archive of images, or the synthetic hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from handsigns.data.cache import (
    CACHE_FORMAT,
    CachedDataSet,
    Splits,
    fingerprint,
    load_or_build,
)
from handsigns.data.holdout import SPLIT_SEED, split_off_missing
from handsigns.data.images import (
    InvalidImageError,
    Pixels,
    decode_with_remarks,
    is_heif_supported,
    read_bytes,
)
from handsigns.data.layouts import list_images
from handsigns.data.listing import BadFile, ImageFile, ImageListing
from handsigns.data.parallel import ProgressCallback, no_progress, parallel_map
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.data.validate import (
    bad_files_error,
    check_complete,
    ignored_notes,
    remark_notes,
    shared_image_notes,
    skipped_notes,
)
from handsigns.io.digest import digest

SYNTHETIC_COUNTS: dict[SplitName, int] = {"train": 1500, "val": 300, "test": 300}
SYNTHETIC_SOURCE = "synthetic hands"

T = TypeVar("T")


@dataclass(frozen=True)
class DataSet:
    """Open data set, whose test split is not read before `open_test`."""

    info: DataInfo
    train: Split
    val: Split
    cached: CachedDataSet

    @property
    def train_val_nbytes(self) -> int:
        """Bytes of the images that every trial uses: train and validation."""
        return self.train.images.nbytes + self.val.images.nbytes

    def open_test(self) -> Split:
        """Return the test split; only the `test` command calls this."""
        return self.cached.open_split("test")


def open_data(
    source: Path | None,
    *,
    size: int = 64,
    skip_bad: bool = False,
    progress: ProgressCallback = no_progress,
) -> DataSet:
    """Open a data set, decoding it unless it is cached.

    Args:
        source: a folder in one of the layouts of `layouts`, or a zip or tar archive of one; None
            generates synthetic hands.
        size: height and width of the decoded images in pixels.
        skip_bad: skip unusable files.
        progress: called after every decoded image; never called on a cache hit.

    Raises:
        DataError: the folder, or files in it, cannot be used; every bad file is listed.
    """
    if source is None:
        cached = _open_synthetic(size, progress)
    else:
        cached = _open_folder(source, size, skip_bad, progress)
    return DataSet(cached.info, cached.open_split("train"), cached.open_split("val"), cached)


def _open_synthetic(size: int, progress: ProgressCallback) -> CachedDataSet:
    # Rendering needs modules that a search on photographs does not.
    from handsigns.data.synthetic import CLASSES, VERSION, generate_hands

    def build() -> tuple[DataInfo, Splits]:
        splits: dict[SplitName, Split] = {}
        for seed, (name, count) in enumerate(SYNTHETIC_COUNTS.items()):
            images, labels = generate_hands(count, seed=seed, size=size)
            names = tuple(f"{name}/{CLASSES[label]}_{i:04d}" for i, label in enumerate(labels))
            splits[name] = Split(images, labels, names)
            done = sum(len(split) for split in splits.values())
            progress(done, sum(SYNTHETIC_COUNTS.values()))
        return _info(SYNTHETIC_SOURCE, CLASSES, size, splits, ()), splits

    key = _cache_key("synthetic", VERSION, SYNTHETIC_COUNTS, size)
    return load_or_build(key, SYNTHETIC_SOURCE, build)


def _open_folder(
    source: Path, size: int, skip_bad: bool, progress: ProgressCallback
) -> CachedDataSet:
    listing = list_images(source, progress)
    resolved = str(source.resolve())

    def build() -> tuple[DataInfo, Splits]:
        decoded, undecodable = _map_images(
            listing, lambda path: decode_with_remarks(read_bytes(path), size), progress
        )
        bad = (*listing.bad, *undecodable)
        if bad and not skip_bad:
            raise bad_files_error(str(source), bad)
        pixels = {name: image for name, (image, _) in decoded.items()}
        remarks = remark_notes({name: remarks for name, (_, remarks) in decoded.items()})
        return _assemble(resolved, listing, pixels, bad, size, remarks)

    heif = is_heif_supported()  # otherwise such images may have been skipped
    key = _cache_key("folder", size, skip_bad, SPLIT_SEED, heif, *_content_key(listing))
    return load_or_build(key, resolved, build)


def _content_key(listing: ImageListing) -> tuple[object, ...]:
    """Return everything about the folder that determines the decoded data set."""
    digests, unreadable = _map_images(listing, _digest)
    images = [
        (split, image.name, image.label, digests.get(image.name))
        for split, members in listing.images.items()
        for image in members
    ]
    return listing.classes, images, listing.bad, listing.ignored, unreadable


def _digest(path: Path) -> str:
    return digest(read_bytes(path))


def _map_images(
    listing: ImageListing, fn: Callable[[Path], T], progress: ProgressCallback = no_progress
) -> tuple[dict[str, T], list[BadFile]]:
    """Apply `fn` to each image; return the results by name, and the files it rejects."""

    def attempt(image: ImageFile) -> T | BadFile:
        try:
            return fn(image.path)
        except InvalidImageError as error:
            return BadFile(image.name, str(error))

    images = [image for members in listing.images.values() for image in members]
    results: dict[str, T] = {}
    bad = []
    for image, result in zip(images, parallel_map(attempt, images, progress), strict=True):
        if isinstance(result, BadFile):
            bad.append(result)
        else:
            results[image.name] = result
    return results, bad


def _assemble(
    source: str,
    listing: ImageListing,
    pixels: Mapping[str, Pixels],
    bad: Sequence[BadFile],
    size: int,
    remarks: Sequence[str],
) -> tuple[DataInfo, Splits]:
    usable = {
        split: [image for image in members if image.name in pixels]
        for split, members in listing.images.items()
    }
    check_complete(source, usable, listing.classes)
    images, notes = split_off_missing(usable, SPLIT_SEED)
    check_complete(source, images, listing.classes, provided=usable)
    splits = {name: _pack_split(images[name], listing.classes, pixels) for name in SPLIT_NAMES}
    notes += [*skipped_notes(bad), *ignored_notes(listing.ignored), *remarks]
    notes += shared_image_notes(splits)
    return _info(source, listing.classes, size, splits, notes), splits


def _pack_split(
    members: Sequence[ImageFile], classes: tuple[str, ...], pixels: Mapping[str, Pixels]
) -> Split:
    return Split(
        np.stack([pixels[image.name] for image in members]),
        np.array([classes.index(image.label) for image in members], np.int64),
        tuple(image.name for image in members),
    )


def _info(
    source: str, classes: tuple[str, ...], size: int, splits: Splits, notes: Sequence[str]
) -> DataInfo:
    counts = {
        name: tuple(np.bincount(split.labels, minlength=len(classes)).tolist())
        for name, split in splits.items()
    }
    return DataInfo(source, fingerprint(splits, classes, size), classes, size, counts, tuple(notes))


def _cache_key(*parts: object) -> str:
    return digest(repr((CACHE_FORMAT, parts)))
