"""Making a data set of small pictures from photographs of any size, as the course's builder does.

Safe to interrupt and to repeat: a picture is there whole or not at all, and what is there is not
made again. `manifest.json` in the new folder says what it was made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from handsigns.data.carve import carve_missing
from handsigns.data.formats import SIGN_FOLDERS, BadFile, Listing, Picture, list_pictures
from handsigns.data.open import SPLIT_SEED, Progress, bad_files_error
from handsigns.data.pictures import BadPictureError, decode, read_bytes
from handsigns.data.splits import SplitName
from handsigns.errors import DataError
from handsigns.files import replacing, write_json
from handsigns.text import printable

MANIFEST = "manifest.json"
QUALITY = 95


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


def prepare(
    source: Path,
    dest: Path,
    *,
    size: int = 64,
    seed: int = SPLIT_SEED,
    skip_bad: bool = False,
    progress: Progress,
) -> Prepared:
    """Write every picture of `source` as a JPEG of `size` pixels into `dest`, in the same layout.

    A missing val split is 20 % of train, stratified by class and drawn with `seed`; in class
    folders a missing test split is carved out too.

    Raises:
        DataError: the source cannot be used, holds bad files, or `dest` holds something else.
    """
    listing = list_pictures(source)
    if listing.bad and not skip_bad:
        raise bad_files_error(source, listing.bad)
    pictures, notes = carve_missing(listing.pictures, seed)
    manifest = {"source": _digest(listing), "size": size, "seed": seed}
    _claim(dest, manifest)
    targets = _targets(dest, listing.layout, pictures)
    made, bad = _make_all(targets, size, progress)
    if bad and not skip_bad:
        raise bad_files_error(source, bad)
    bad = [*listing.bad, *bad]
    if bad:
        notes.append(f"{len(bad)} bad files were skipped: {printable(bad[0].name)}, …")
    counts = {name: len(members) for name, members in pictures.items()}
    for name in counts:
        counts[name] -= sum(b.name in {p.name for p in pictures[name]} for b in bad)
    write_json(dest / MANIFEST, manifest | {"complete": True, "pictures": counts})
    return Prepared(dest, counts, made, tuple(notes))


def _digest(listing: Listing) -> str:
    """Of the pictures' names and sizes in bytes: enough to notice another source."""
    digest = hashlib.blake2b(digest_size=16)
    for split, pictures in listing.pictures.items():
        for picture in pictures:
            length = picture.path.stat().st_size
            digest.update(f"{split}/{picture.name}/{length}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _claim(dest: Path, manifest: dict[str, Any]) -> None:
    """Make `dest` ours: new or empty, or begun with the same source and settings."""
    if dest.exists() and not dest.is_dir():
        raise DataError(f"{dest} is a file; name a folder to make")
    if not dest.exists() or not any(dest.iterdir()):
        write_json(dest / MANIFEST, manifest | {"complete": False})
        return
    try:
        found = json.loads((dest / MANIFEST).read_text(encoding="utf-8"))
        differing = [key for key, value in manifest.items() if found[key] != value]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{dest} is not empty and was not made by prepare; name a new folder"
        ) from error
    if differing:
        raise DataError(
            f"{dest} was made with another {' and '.join(differing)}; name a new folder, or remove "
            f"this one"
        )


def _targets(
    dest: Path, layout: str, pictures: dict[SplitName, list[Picture]]
) -> list[tuple[Picture, Path]]:
    """Where each picture goes; of two that would get one name the second gets a number."""
    targets: dict[Path, Picture] = {}
    for split, members in pictures.items():
        for picture in members:
            folder = dest / SIGN_FOLDERS[split]
            if layout == "classes":
                folder = dest / split / picture.label
            target, number = folder / f"{picture.path.stem}.jpg", 2
            while target in targets:
                target, number = folder / f"{picture.path.stem}-{number}.jpg", number + 1
            targets[target] = picture
    return [(picture, target) for target, picture in targets.items()]


def _make_all(
    targets: Sequence[tuple[Picture, Path]], size: int, progress: Progress
) -> tuple[int, list[BadFile]]:
    def attempt(picture: Picture, target: Path) -> BadFile | bool:
        if target.exists():
            return False
        try:
            pixels = decode(read_bytes(picture.path), size)
        except BadPictureError as error:
            return BadFile(picture.name, str(error))
        with replacing(target) as temporary:
            Image.fromarray(pixels).save(temporary, "JPEG", quality=QUALITY, subsampling=0)
        return True

    made, bad = 0, []
    pool = ThreadPoolExecutor()
    try:
        results = pool.map(lambda pair: attempt(*pair), targets)
        for done, result in enumerate(results, 1):
            made += result is True
            if isinstance(result, BadFile):
                bad.append(result)
            progress(done, len(targets))
    finally:
        # An interrupt must not wait for thousands of pictures that nobody wants any more.
        pool.shutdown(cancel_futures=True)
    return made, bad
