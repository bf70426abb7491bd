"""Preparation of a data set: photographs of any size to small images, as CS230's builder does.

Safe to interrupt and to rerun: images are written atomically, and existing ones are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.console.sanitize import printable
from handsigns.data.folders import expand_home
from handsigns.data.group_names import GroupNames, group_names, unwritable_names
from handsigns.data.holdout import SPLIT_SEED, ImagesBySplit, loosen, split_off_missing
from handsigns.data.image_files import read_bytes
from handsigns.data.images import decode, decode_with_info
from handsigns.data.layouts import SIGN_FOLDERS, list_images
from handsigns.data.listing import BadFile, ImageFile, ImageListing
from handsigns.data.near_duplicates import find_groups
from handsigns.data.parallel import map_images
from handsigns.data.prepared_folder import (
    GROUPS,
    PreparedFolder,
    check_folder_names,
    check_not_nested,
)
from handsigns.data.splits import SplitName
from handsigns.data.validate import (
    bad_files_error,
    check_complete,
    ignored_notes,
    remark_notes,
    skipped_notes,
)
from handsigns.errors import DataError
from handsigns.io.atomic import atomic_write

_COMPARED_SIZE = 64
"""Size in pixels at which images are compared, all in memory, before any is written."""
JPEG_QUALITY = 95
"""Quality of the JPEGs, without chroma subsampling (4:4:4): 64 pixels have no detail to spare."""


@dataclass(frozen=True)
class PrepareResult:
    """Outcome of `prepare`.

    Attributes:
        folder: the prepared data set.
        counts: number of its images by split.
        num_written: number of images written by this call; the others existed.
        notes: notes for the user.
    """

    folder: Path
    counts: dict[SplitName, int]
    num_written: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    image: ImageFile
    split: SplitName
    target: Path
    number: int


def prepare(
    source: Path,
    dest: Path,
    *,
    size: int = 64,
    seed: int = SPLIT_SEED,
    skip_bad: bool = False,
    group_by: str | None = None,
    progress: ProgressCallback = no_progress,
) -> PrepareResult:
    """Write every image of `source` as a JPEG of `size` pixels into `dest`, in the same layout.

    Images of a label table are sorted into class folders.

    A missing test split, then a missing val split (20 % of train), is split off from train,
    stratified by class and sampled with `seed`; near-duplicates and the groups of `group_by` (see
    `group_names`) are kept together, and the groups are written to `groups.csv`. Bad files are
    reported before anything is written if a split is split off, for which all usable images must
    be known, or a name cannot be written to `groups.csv`; otherwise after all good ones are
    written. A rerun with these files fixed or removed, or with `skip_bad`, resumes from there.

    Raises:
        DataError: the source cannot be used or has bad files, or `dest` cannot be written or
            contains something else.
    """
    dest = expand_home(dest)
    listing = list_images(source, progress)
    check_not_nested(source, dest)
    if listing.layout != "signs":
        check_folder_names(listing.classes)
    check_complete(str(source), listing.images, listing.classes)
    named = group_names(source, listing, group_by)
    groups, undecodable = _groups(listing, named, progress)
    unwritable = unwritable_names(named)
    bad = [*listing.bad, *undecodable, *unwritable]
    if bad and (unwritable or _lacks_split(listing)) and not skip_bad:
        raise bad_files_error(str(source), bad)
    usable = _without(listing.images, [*undecodable, *unwritable])
    check_complete(str(source), usable, listing.classes)
    loose, notes = (groups, []) if named else loosen(usable, groups)
    images, split_notes = split_off_missing(usable, seed, loose)
    notes += split_notes
    check_complete(str(source), images, listing.classes, provided=usable)
    folder = PreparedFolder(dest, listing, {"size": size, "seed": seed}, progress)
    try:
        folder.init()
        jobs = _jobs(dest, listing.layout, images, folder)
        numbers = {printable(j.image.name): j.number for j in jobs if j.number > 1}
        folder.check_no_foreign_images({job.target for job in jobs})
        remarks, unwritten = _convert_all(jobs, size, progress)
        bad += unwritten
        folder.write_manifest(bad, numbers)
        if bad and not skip_bad:
            raise bad_files_error(str(source), bad)
        written = _without(images, unwritten)
        check_complete(str(source), written, listing.classes, provided=usable)
        failed = {file.name for file in unwritten}
        jobs = [job for job in jobs if job.image.name not in failed]
        if named:
            folder.write_groups({j.target: named[n] for j in jobs if (n := j.image.name) in named})
            notes.append(f"its groups are in {GROUPS}: search with --group-by {GROUPS}")
        counts = dict(Counter(job.split for job in jobs))
        folder.write_manifest(bad, numbers, counts)
    except OSError as error:
        raise DataError(
            f"{printable(str(dest))} cannot be written: {error.strerror or error}; fix that, then "
            f"rerun the same command to resume"
        ) from error
    notes += [*skipped_notes(bad), *ignored_notes(listing.ignored)]
    notes += remark_notes(remarks)
    return PrepareResult(dest, counts, len(remarks), tuple(notes))


def _groups(
    listing: ImageListing, named: GroupNames, progress: ProgressCallback
) -> tuple[dict[str, int], list[BadFile]]:
    """Return the group of each image that may be split off by its name, as `open_data` would.

    Images that cannot be decoded have no group and are returned too.
    """
    if not _lacks_split(listing):
        return {}, []
    pixels, bad = map_images(
        lambda image: decode(read_bytes(image.path), _COMPARED_SIZE), listing.all_images, progress
    )
    given = {image.name for image in listing.images.get("test", ())}
    names = [name for name in pixels if name not in given]
    groups = find_groups([pixels[name] for name in names], [named.get(name) for name in names])
    return dict(zip(names, groups.tolist(), strict=True)), bad


def _lacks_split(listing: ImageListing) -> bool:
    return not {"val", "test"} <= listing.images.keys()


def _without(images: ImagesBySplit, bad: Sequence[BadFile]) -> ImagesBySplit:
    names = {file.name for file in bad}
    return {
        split: [image for image in members if image.name not in names]
        for split, members in images.items()
    }


def _jobs(dest: Path, layout: str, images: ImagesBySplit, previous: PreparedFolder) -> list[_Job]:
    """Return the target of each image; colliding names get a number, as in the previous run.

    Names are compared case-insensitively, as on some file systems.
    """
    jobs: dict[str, _Job] = {}
    members = [(split, image) for split in images for image in images[split]]
    # What was unusable may be new, and must not take the name of an image that exists.
    members.sort(key=lambda member: printable(member[1].name) in previous.unusable)
    for split, image in members:
        folder = dest / SIGN_FOLDERS[split]
        if layout != "signs":
            folder = dest / split / image.label
        number = previous.numbers.get(printable(image.name), 1)
        while str(target := _target(folder, image, number)).casefold() in jobs:
            number += 1
        jobs[str(target).casefold()] = _Job(image, split, target, number)
    return list(jobs.values())


def _target(folder: Path, image: ImageFile, number: int) -> Path:
    return folder / (f"{image.path.stem}-{number}.jpg" if number > 1 else f"{image.path.stem}.jpg")


def _convert_all(
    jobs: Sequence[_Job], size: int, progress: ProgressCallback
) -> tuple[dict[str, tuple[str, ...]], list[BadFile]]:
    """Convert all images but those that exist.

    Return the decoder's remarks on each that was written, by name, and the undecodable files.
    """
    targets = {job.image.name: job.target for job in jobs}

    def convert(image: ImageFile) -> tuple[str, ...] | None:
        target = targets[image.name]
        if target.exists():
            return None
        pixels, info = decode_with_info(read_bytes(image.path), size)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            Image.fromarray(pixels).save(temporary, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        return info.remarks

    results, bad = map_images(convert, [job.image for job in jobs], progress)
    return {name: remarks for name, remarks in results.items() if remarks is not None}, bad
