"""Making a data set of small pictures from photographs of any size, as the course's builder does.

Safe to interrupt and to repeat: a picture is there whole or not at all, and what is there is not
made again. `manifest.json` in the new folder says what it was made from, and when it is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from handsigns.console.sanitize import printable
from handsigns.data.file_types import is_image
from handsigns.data.holdout import SPLIT_SEED, PicturesBySplit, carve_missing
from handsigns.data.images import BadPictureError, decode, file_size, read_bytes
from handsigns.data.layouts import SIGN_FOLDERS, BadFile, Listing, Picture, list_pictures
from handsigns.data.parallel import Progress, for_each, no_report
from handsigns.data.splits import SplitName
from handsigns.data.validate import bad_files_error, check_complete, skipped_notes, unread_notes
from handsigns.errors import DataError, ResultsError
from handsigns.io.atomic import replacing
from handsigns.io.digest import hasher
from handsigns.io.json_file import read_json, write_json

MANIFEST = "manifest.json"
QUALITY = 95
"""Of the JPEGs made, with full colour resolution (4:4:4): 64 pixels have no detail to spare."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
        folder: the data set made.
        counts: its pictures by split.
        made: how many of them were made this time; the others were there.
        notes: what the user should know.
    """

    folder: Path
    counts: dict[SplitName, int]
    made: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    picture: Picture
    split: SplitName
    target: Path


def prepare(
    source: Path,
    dest: Path,
    *,
    size: int = 64,
    seed: int = SPLIT_SEED,
    skip_bad: bool = False,
    progress: Progress = no_report,
) -> Prepared:
    """Write every picture of `source` as a JPEG of `size` pixels into `dest`, in the same layout.

    A missing val split is 20 % of train, stratified by class and drawn with `seed`; a missing test
    split is carved out too, before it. Bad files are told of when all good ones are made, so that
    mending them, or `skip_bad`, goes on from there.

    Raises:
        DataError: the source cannot be used, holds bad files, or `dest` cannot be written or holds
            something else.
    """
    listing = list_pictures(source)
    _check_apart(source, dest)
    check_complete(str(source), listing.pictures, listing.classes)
    pictures, notes = carve_missing(listing.pictures, seed)
    check_complete(str(source), pictures, listing.classes, given=listing.pictures)
    manifest = {"source": _digest(listing), "size": size, "seed": seed}
    jobs = _jobs(dest, listing.layout, pictures)
    try:
        _claim(dest, manifest)
        _check_nothing_else(dest, jobs)
        made, undecodable = _make_all(jobs, size, progress)
        bad = [*listing.bad, *undecodable]
        if bad and not skip_bad:
            raise bad_files_error(str(source), bad)
        counts = _counts(jobs, undecodable)
        write_json(dest / MANIFEST, manifest | {"complete": True, "pictures": counts})
    except OSError as error:
        raise DataError(
            f"{printable(str(dest))} cannot be written: {error.strerror or error}; when that is "
            f"mended, the same command goes on from there"
        ) from error
    return Prepared(
        dest, counts, made, (*notes, *skipped_notes(bad), *unread_notes(listing.unread))
    )


def _check_apart(source: Path, dest: Path) -> None:
    """Pictures made within the source would be taken for more of its pictures next time."""
    if dest.resolve().is_relative_to(source.resolve()):
        raise DataError(
            f"{printable(str(dest))} is within {printable(str(source))}, which is only read; name "
            f"a folder elsewhere"
        )


def _digest(listing: Listing) -> str:
    """Of the pictures' names and sizes in bytes: enough to notice another source."""
    digest = hasher()
    for split, members in listing.pictures.items():
        for picture in members:
            text = f"{split}/{picture.name}/{file_size(picture.path)}\n"
            digest.update(text.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _claim(dest: Path, manifest: dict[str, Any]) -> None:
    """Make `dest` ours: new or empty, or begun with the same source and settings."""
    shown = printable(str(dest))
    if dest.exists() and not dest.is_dir():
        raise DataError(f"{shown} is a file; name a folder to make")
    dest.mkdir(parents=True, exist_ok=True)
    if not any(_visible(dest.iterdir())):
        write_json(dest / MANIFEST, manifest | {"complete": False})
        return
    try:
        found = read_json(dest / MANIFEST, dict[str, Any])
        differing = [key for key, value in manifest.items() if found[key] != value]
    except (OSError, KeyError, ResultsError) as error:
        raise DataError(
            f"{shown} is not empty and was not made by prepare; name a new folder"
        ) from error
    if differing:
        raise DataError(
            f"{shown} was made with another {' and '.join(differing)}; name a new folder, or "
            f"remove this one"
        )


def _check_nothing_else(dest: Path, jobs: Sequence[_Job]) -> None:
    """Refuse pictures in `dest` that are not made here: they would become part of the data set."""
    ours = {job.target for job in jobs}
    pictures = (p for p in _visible(dest.rglob("*")) if is_image(p))
    foreign = sorted(p.relative_to(dest).as_posix() for p in pictures if p not in ours)
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise DataError(
            f"{printable(str(dest))} holds {printable(foreign[0])}{more}, not made by prepare from "
            f"these pictures; move that away, or name a new folder"
        )


def _visible(paths: Iterable[Path]) -> Iterable[Path]:
    """Without hidden ones, which no layout reads: what a killed process left half-written."""
    return (path for path in paths if not path.name.startswith("."))


def _jobs(dest: Path, layout: str, pictures: PicturesBySplit) -> list[_Job]:
    """Where each picture goes; of two that would get one name the second gets a number.

    Capitals do not tell names apart, as they do not on every file system.
    """
    jobs: dict[str, _Job] = {}
    for split, members in pictures.items():
        for picture in members:
            folder = dest / SIGN_FOLDERS[split]
            if layout == "classes":
                folder = dest / split / picture.label
            target, number = folder / f"{picture.path.stem}.jpg", 2
            while str(target).casefold() in jobs:
                target, number = folder / f"{picture.path.stem}-{number}.jpg", number + 1
            jobs[str(target).casefold()] = _Job(picture, split, target)
    return list(jobs.values())


def _make_all(jobs: Sequence[_Job], size: int, progress: Progress) -> tuple[int, list[BadFile]]:
    """How many pictures were made, and those that could not be."""

    targets = {job.picture.name: job.target for job in jobs}

    def attempt(picture: Picture) -> BadFile | bool:
        target = targets[picture.name]
        if target.exists():
            return False
        try:
            pixels = decode(read_bytes(picture.path), size)
        except BadPictureError as error:
            return BadFile(picture.name, str(error))
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            Image.fromarray(pixels).save(temporary, "JPEG", quality=QUALITY, subsampling=0)
        return True

    results = for_each(attempt, [job.picture for job in jobs], progress)
    bad = [result for result in results if isinstance(result, BadFile)]
    return sum(result is True for result in results), bad


def _counts(jobs: Sequence[_Job], bad: Sequence[BadFile]) -> dict[SplitName, int]:
    names = {b.name for b in bad}
    counts = {job.split: 0 for job in jobs}
    for job in jobs:
        counts[job.split] += job.picture.name not in names
    return counts
