"""Label tables: one folder of images, and a ``labels.csv`` with a row for each.

File names are only compared with those of the images that the folder has: none becomes a path.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from handsigns.console.sanitize import printable
from handsigns.data.csv_table import column_names, read_table
from handsigns.data.folders import entries, walk_folders
from handsigns.data.listing import (
    BadFile,
    FoundImage,
    ImageListing,
    UnusableFileError,
    add_image,
    find_images_in,
    skipped_in,
)
from handsigns.data.naming import natural_sort_key, plain_path, split_of
from handsigns.data.splits import SPLIT_NAMES, SplitName
from handsigns.errors import DataError

TABLE_NAME = "labels.csv"
_FILE_COLUMNS = ("file", "filename", "image", "imagename", "path", "filepath", "imagepath",
                 "img", "id", "imageid")  # fmt: skip
_LABEL_COLUMNS = ("label", "labels", "class", "classname", "labelname", "category", "target")
_SPLIT_COLUMNS = ("split", "subset", "partition", "set")
"""Names of columns, the preferred first; see `column_names`."""
_MAX_NAMED = 3
"""Skipped files and folders that are named where an image is missing."""


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    label: str
    split: str


def find_table(folder: Path) -> Path | None:
    """Return the label table of a folder, if it has one."""
    found = (folder / e.name for e in entries(folder) if e.name.lower() == TABLE_NAME)
    return next(found, None)


def list_table(root: Path, table: Path) -> ImageListing:
    """List the images of a folder and its subfolders, with the labels of a table.

    Without a column for the split it is that of the folder that the image is in, if there are such
    folders; otherwise all images are train.

    Raises:
        DataError: the table cannot be read, lacks columns or rows, or has no train images.
    """
    rows = list(_read_rows(table))
    if not rows:
        raise DataError(
            f"{printable(str(table))} has no rows below the names of its columns; add one per image"
        )
    # Labels such as 7 and 07 have the same key, and a set has no order.
    labels = sorted({row.label for row in rows if row.label})
    classes = tuple(sorted(labels, key=natural_sort_key))
    _reject_spellings(table, classes)
    folders = list(walk_folders(root))
    images = [image for folder in folders for image in find_images_in(root, folder)]
    skipped = [name for f in folders for name in skipped_in(root, f)]
    rows_of, bad = _match(rows, _Index(images, skipped))
    if bad and not rows_of:
        remedy = f"; {bad[0].remedy}" if bad[0].remedy else ""
        raise DataError(
            f"{printable(str(table))}: no row names an image of the folder: "
            f"{printable(bad[0].name)}: {bad[0].reason}{remedy}"
        )
    splits = _with_splits(table, rows_of)
    listing = ImageListing("table", classes, {split: [] for split in splits}, bad)
    for image in images:
        if image.name in rows_of:
            try:
                row = _only(rows_of[image.name])
                add_image(listing, _split(row), image, row.label)
            except UnusableFileError as error:
                listing.bad.append(BadFile(image.name, *error.args))
    unlisted = tuple(image.name for image in images if image.name not in rows_of)
    return replace(listing, ignored=(*unlisted, *skipped))


def reject_contradiction(root: Path, table: Path, listing: ImageListing) -> None:
    """Reject a table beside class folders that sorts the images into other classes.

    The table may name the classes otherwise. Another kind of table, such as a list of the classes,
    is none of the labels.

    Raises:
        DataError: they disagree.
    """
    try:
        found = list_table(root, table)
    except DataError:
        return
    folders = {image.name: image.label for image in listing.all_images}
    folder_of: dict[str, str] = {}
    label_of: dict[str, str] = {}
    for image in found.all_images:
        folder = folders.get(image.name)
        if folder is None:
            continue
        same_label = folder_of.setdefault(image.label, folder)
        if same_label != folder or label_of.setdefault(folder, image.label) != image.label:
            raise DataError(
                f"{printable(str(table))} and the folders disagree: {printable(image.name)} is "
                f"{printable(image.label)} in the table; rename or remove the table if the folders "
                f"are the classes, or move the folders into one, such as images, if they are not"
            )


def _with_splits(table: Path, rows_of: dict[str, list[_Row]]) -> list[SplitName]:
    """Return the splits that rows have; where none has one, all become train."""
    if not any(row.split for rows in rows_of.values() for row in rows):
        for name, rows in rows_of.items():
            rows_of[name] = [replace(row, split="train") for row in rows]
    used = {split_of(row.split) for rows in rows_of.values() for row in rows}
    if "train" not in used:
        raise DataError(f"{printable(str(table))}: no image has the split train")
    return [split for split in SPLIT_NAMES if split in used]


def _read_rows(table: Path) -> Iterator[_Row]:
    header, rows = read_table(table)
    file_at, label_at, split_at = _columns(printable(str(table)), header)
    for line, cells in rows:
        split = cells[split_at].strip() if split_at is not None else ""
        label = unicodedata.normalize("NFC", cells[label_at].strip())
        yield _Row(line, cells[file_at].strip(), label, split)


def _columns(shown: str, names: list[str]) -> tuple[int, int, int | None]:
    """Return the positions of the file name, the label and the split."""
    plain = column_names(names)

    def position(known: tuple[str, ...]) -> int | None:
        return next((plain.index(name) for name in known if name in plain), None)

    file_at, label_at = position(_FILE_COLUMNS), position(_LABEL_COLUMNS)
    if file_at is None or label_at is None:
        found = ", ".join(printable(name) for name in names) or "nothing"
        raise DataError(
            f"{shown} needs a first line that names its columns: file and label, and split if "
            f"there are splits (found: {found})"
        )
    return file_at, label_at, position(_SPLIT_COLUMNS)


def _reject_spellings(table: Path, classes: tuple[str, ...]) -> None:
    """Reject labels that differ only in case, which are one class in two spellings."""
    spellings: dict[str, str] = {}
    for label in classes:
        other = spellings.setdefault(label.casefold(), label)
        if other != label:
            raise DataError(
                f"{printable(str(table))}: labels {printable(other)} and {printable(label)} differ "
                f"only in case; use one spelling"
            )


class _Index:
    """Images by path; and by the end of it, without regard to case, with or without suffix."""

    def __init__(self, images: Sequence[FoundImage], skipped: Sequence[str]) -> None:
        self._skipped = ", ".join(map(printable, skipped[:_MAX_NAMED]))
        self._by_path = {_plain(image.name): image for image in images}
        self._by_name: dict[str, list[FoundImage]] = {}
        for image in images:
            path = PurePosixPath(_plain(image.name).casefold())
            for parts in (path.parts, path.with_suffix("").parts):
                for start in range(len(parts)):
                    found = self._by_name.setdefault("/".join(parts[start:]), [])
                    if not found or found[-1] is not image:
                        found.append(image)

    def find(self, file: str) -> FoundImage:
        """Return the image that a row names.

        Raises:
            UnusableFileError: there is none, or more than one.
        """
        plain = _plain(file)
        if plain in self._by_path:
            return self._by_path[plain]
        found = self._by_name.get(plain.casefold(), [])
        if not found:
            reason = f"named in {TABLE_NAME}, but not in the folder"
            skipped = f"hidden images and linked folders are not read: {self._skipped}"
            raise UnusableFileError(reason, skipped if self._skipped else "")
        if len(found) > 1:
            raise UnusableFileError(
                f"{found[0].name} and {found[1].name} have this name; give the path in {TABLE_NAME}"
            )
        return found[0]


def _plain(file: str) -> str:
    return str(PurePosixPath(plain_path(file)))


def _match(rows: Sequence[_Row], index: _Index) -> tuple[dict[str, list[_Row]], list[BadFile]]:
    """Return the rows of each image, by its name, and those without an image."""
    rows_of: dict[str, list[_Row]] = {}
    bad = []
    for row in rows:
        try:
            if not row.file:
                raise UnusableFileError("no file name")
            name = index.find(row.file).name
            folder, _, rest = name.partition("/")
            if rest and not row.split and split_of(folder):
                row = replace(row, split=folder)
            rows_of.setdefault(name, []).append(row)
        except UnusableFileError as error:
            bad.append(BadFile(row.file or f"line {row.line} of {TABLE_NAME}", *error.args))
    return rows_of, bad


def _only(rows: Sequence[_Row]) -> _Row:
    """Return the row of an image, which may be repeated, but not with another label or split."""
    first = rows[0]
    for row in rows:
        if (row.label, row.split) != (first.label, first.split):
            raise UnusableFileError(
                f"lines {first.line} and {row.line} of {TABLE_NAME} differ in its label or split"
            )
    if not first.label:
        raise UnusableFileError(
            f"no label in line {first.line} of {TABLE_NAME}",
            "classify unlabelled images with predict",
        )
    return first


def _split(row: _Row) -> SplitName:
    split = split_of(row.split)
    if split is None:
        raise UnusableFileError(
            f"split {printable(row.split) or 'missing'} in line {row.line} of {TABLE_NAME} is none "
            f"of train, val and test"
        )
    return split
