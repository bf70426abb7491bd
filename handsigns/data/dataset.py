"""Entry point to all data: a folder or archive of images, or the synthetic hands."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.data.assembly import assemble, make_info
from handsigns.data.buffers import allocate_images
from handsigns.data.cache import (
    CACHE_FORMAT,
    BuiltDataSet,
    CachedDataSet,
    SplitFile,
    load_or_build,
)
from handsigns.data.findings import DataCheck
from handsigns.data.folders import absolute_path
from handsigns.data.group_names import group_names
from handsigns.data.holdout import SPLIT_SEED
from handsigns.data.image_files import decoding_options, read_bytes
from handsigns.data.images import ImageInfo, Pixels, decode_with_info
from handsigns.data.layouts import list_images
from handsigns.data.listing import BadFile, ImageFile, ImageListing
from handsigns.data.parallel import content_digests, map_images
from handsigns.data.splits import DataInfo, Split, SplitName
from handsigns.data.validate import bad_files_error
from handsigns.errors import DataError
from handsigns.io.digest import digest

SYNTHETIC_COUNTS: dict[SplitName, int] = {"train": 1500, "val": 300, "test": 300}
SYNTHETIC_SOURCE = "synthetic hands"


@dataclass(frozen=True)
class DataSet:
    """Open data set, whose test split is not read before `open_test`."""

    info: DataInfo
    train: Split
    val: Split
    cached: CachedDataSet

    @property
    def check(self) -> DataCheck | None:
        """What a check of the images found when they were decoded; None for synthetic hands."""
        return self.cached.check

    @property
    def train_val_nbytes(self) -> int:
        """Bytes of the images that every trial uses: train and validation."""
        return self.train.images.nbytes + self.val.images.nbytes

    @property
    def split_files(self) -> tuple[SplitFile, SplitFile] | None:
        """Train and val as files for other processes on this machine; None if not cached."""
        folder = self.cached.folder
        if folder is None:
            return None
        return SplitFile(folder, "train"), SplitFile(folder, "val")

    def open_test(self) -> Split:
        """Return the test split; only the evaluation of the winner calls this."""
        return self.cached.open_split("test")


def open_data(
    source: Path | None,
    *,
    size: int = 64,
    skip_bad: bool = False,
    group_by: str | None = None,
    lenient: bool = False,
    progress: ProgressCallback = no_progress,
) -> DataSet:
    """Open a data set, decoding it unless it is cached.

    Args:
        source: a folder in one of the layouts of `layouts`, or a zip or tar archive of one; None
            generates synthetic hands.
        size: height and width of the decoded images in pixels.
        skip_bad: skip unusable files.
        group_by: see `group_names`; groups and near-duplicates are not separated by splits that
            are split off, nor by folds.
        lenient: if it cannot be opened otherwise, skip unusable files and allow splits without
            images of some class, which no model can be trained on, to find out what is wrong.
        progress: called after every decoded image; never called on a cache hit.

    Raises:
        DataError: the folder, or files in it, cannot be used; every bad file is listed.
    """
    if source is None and group_by is not None:
        raise DataError("group_by applies to a folder of images; pass one (--data DIR)")
    if source is None:
        cached = _open_synthetic(size, progress)
    else:
        cached = _open_folder(source, size, skip_bad, group_by, lenient, progress)
    return DataSet(cached.info, cached.open_split("train"), cached.open_split("val"), cached)


def _open_synthetic(size: int, progress: ProgressCallback) -> CachedDataSet:
    # Rendering needs modules that a search on photographs does not.
    from handsigns.data.synthetic import CLASSES, VERSION, generate_hands

    def build() -> BuiltDataSet:
        splits: dict[SplitName, Split] = {}
        for seed, (name, count) in enumerate(SYNTHETIC_COUNTS.items()):
            images, labels = generate_hands(count, seed=seed, size=size)
            names = tuple(f"{name}/{CLASSES[label]}_{i:04d}" for i, label in enumerate(labels))
            splits[name] = Split(images, labels, names)
            done = sum(len(split) for split in splits.values())
            progress(done, sum(SYNTHETIC_COUNTS.values()))
        return BuiltDataSet(make_info(SYNTHETIC_SOURCE, CLASSES, size, splits), splits)

    key = _cache_key("synthetic", VERSION, SYNTHETIC_COUNTS, size)
    return load_or_build(key, SYNTHETIC_SOURCE, build)


def _open_folder(
    source: Path,
    size: int,
    skip_bad: bool,
    group_by: str | None,
    lenient: bool,
    progress: ProgressCallback,
) -> CachedDataSet:
    listing = list_images(source, progress)
    named = group_names(source, listing, group_by)
    resolved = str(absolute_path(source))
    content = _content_key(listing)
    decoded = functools.cache(lambda: _decode(listing, size, progress))

    def load(skip_bad: bool, allow_incomplete: bool) -> CachedDataSet:
        def build() -> BuiltDataSet:
            pixels, infos, undecodable = decoded()
            bad = (*listing.bad, *undecodable)
            if bad and not skip_bad:
                raise bad_files_error(str(source), bad)
            built = assemble(resolved, listing, pixels, infos, bad, size, named, allow_incomplete)
            decoded.cache_clear()  # may be a large file, which is not needed while this is cached
            return built

        # Images that could not be decoded, and were skipped, perhaps can now.
        options = (size, skip_bad, allow_incomplete, SPLIT_SEED, *decoding_options())
        key = _cache_key("folder", *options, sorted(named.items()), *content)
        return load_or_build(key, resolved, build)

    try:
        return load(skip_bad, allow_incomplete=False)
    except DataError:
        if not lenient:
            raise
    return load(skip_bad=True, allow_incomplete=True)


def _decode(
    listing: ImageListing, size: int, progress: ProgressCallback
) -> tuple[dict[str, Pixels], dict[str, ImageInfo], list[BadFile]]:
    """Return the images and what their files say, by name, and the files that are no images."""
    rows = {image.name: row for row, image in enumerate(listing.all_images)}
    images = allocate_images(len(rows), size)

    def decode(image: ImageFile) -> ImageInfo:
        images[rows[image.name]], info = decode_with_info(read_bytes(image.path), size)
        return info

    infos, undecodable = map_images(decode, listing.all_images, progress)
    return {name: images[rows[name]] for name in infos}, infos, undecodable


def _content_key(listing: ImageListing) -> tuple[object, ...]:
    """Return everything about the folder that determines the decoded data set."""
    digests, unreadable = content_digests(listing)
    images = [
        (split, image.name, image.label, digests.get(image.name))
        for split, members in listing.images.items()
        for image in members
    ]
    return listing.classes, images, listing.bad, listing.ignored, unreadable


def _cache_key(*parts: object) -> str:
    return digest(repr((CACHE_FORMAT, parts)))
