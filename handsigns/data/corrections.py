"""Corrections of labels, as tables that the user gives: relabelled and excluded images.

The files of the images are not touched. The test split cannot be corrected: corrections follow from
what models say, and its labels must not.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from handsigns.console.format import pluralize
from handsigns.console.sanitize import printable, unescape_csv_formula
from handsigns.data.assembly import groups_per_class, images_per_class
from handsigns.data.correction import Correction
from handsigns.data.csv_table import column_names, read_table
from handsigns.data.dataset import DataSet
from handsigns.data.folds import select_images
from handsigns.data.near_duplicates import image_digests
from handsigns.data.splits import DataInfo, Split, SplitName
from handsigns.errors import DataError
from handsigns.io.digest import digest

_MAX_LISTED = 20
"""Unusable rows listed in an error."""


def read_corrections(relabel: Sequence[Path], exclude: Sequence[Path]) -> tuple[Correction, ...]:
    """Read the corrections that tables ask for, such as those that `suspects` writes.

    Args:
        relabel: CSV files of images that get the class in their column `suggested` or, without
            one, `label`.
        exclude: CSV files of images to leave out.

    Raises:
        DataError: a table cannot be read, lacks a column or has no rows, or an image is named more
            than once; the message lists the rows.
    """
    found = [
        *(correction for path in relabel for correction in _read(path, relabel=True)),
        *(correction for path in exclude for correction in _read(path, relabel=False)),
    ]
    rows: dict[str, str] = {}
    unlabelled = [c for c in found if c.label is not None and not c.label.strip()]
    problems = [f"{c.row}: no class to relabel it with" for c in unlabelled]
    for correction in found:
        image = _key(correction.image.strip())
        if first := rows.get(image):
            problems.append(f"{correction.row}: {printable(image)} is also in {first}")
        rows[image] = correction.row
    if problems:
        raise _rows_error(problems)
    return tuple(found)


def _read(path: Path, *, relabel: bool) -> Iterator[Correction]:
    shown = printable(str(path))
    header, table = read_table(path)
    columns = column_names(header)
    label = next((name for name in ("suggested", "label") if relabel and name in columns), None)
    if "image" not in columns or (relabel and label is None):
        needed = "image and suggested" if relabel else "image"
        raise DataError(f"{shown} needs a first line that names its columns: {needed}")
    rows = [(line, dict(zip(columns, cells, strict=False))) for line, cells in table]
    rows = [(line, row) for line, row in rows if row["image"]]
    if not rows:
        raise DataError(f"{shown} names no image")
    for line, row in rows:
        yield Correction(
            image=unescape_csv_formula(row["image"]),
            label=unicodedata.normalize("NFC", unescape_csv_formula(row[label])) if label else None,
            digest=row.get("digest", "").strip(),
            row=f"{shown} line {line}",
        )


def apply_corrections(
    data: DataSet,
    corrections: Sequence[Correction],
    on_misfit: Callable[[str], None] | None = None,
) -> DataSet:
    """Return the data set with corrected train and val splits and another fingerprint.

    Images are identified by their names, and by the digests of their pixels where these are known.
    Splits, folds' groups and the test split stay as they are.

    Args:
        data: the data set.
        corrections: corrections of its labels.
        on_misfit: called with the reason why a correction does not fit, which is then left out.

    Raises:
        DataError: a correction fits no image of train or val, or no class, and `on_misfit` is not
            given, or a class is left without images; the message lists the rows.
    """
    corrections = _without_spaces(data, corrections)
    unfit = dict(_misfits(data, corrections))
    if on_misfit is not None:
        for problem in unfit.values():
            on_misfit(problem)
    elif unfit:
        raise _rows_error([*unfit.values()])
    by_image = {c.image: c for c in corrections if c not in unfit}
    splits: dict[SplitName, Split] = {"train": data.train, "val": data.val}
    changes: list[tuple[str, str | None]] = []
    corrected: dict[SplitName, Split] = {}
    for name, split in splits.items():
        corrected[name] = _correct(split, data.info.classes, by_image, changes)
    if not changes:
        return data
    info = _corrected_info(data.info, corrected, changes)
    check = data.cached.check
    cached = dataclasses.replace(
        data.cached,
        info=info,
        check=check and dataclasses.replace(check, fingerprint=info.fingerprint),
        folder=None,  # trials must not map the labels in the cache
    )
    return DataSet(info, corrected["train"], corrected["val"], cached)


def _key(image: str) -> str:
    """Return the name by which tables find an image: printable, and in NFC."""
    return unicodedata.normalize("NFC", printable(image))


def _without_spaces(data: DataSet, corrections: Sequence[Correction]) -> list[Correction]:
    """Strip images and labels of the spaces around them, unless the data set has these."""
    images = {_key(name) for split in (data.train, data.val) for name in split.names}

    def strip(text: str, known: Collection[str]) -> str:
        return text if text in known else unescape_csv_formula(text.strip())

    return [
        dataclasses.replace(
            correction,
            image=strip(_key(correction.image), images),
            label=correction.label and strip(correction.label, data.info.classes),
        )
        for correction in corrections
    ]


def _misfits(data: DataSet, corrections: Sequence[Correction]) -> Iterator[tuple[Correction, str]]:
    """Yield each correction that fits no image of train or val, or no class, and the reason."""
    where = {
        _key(name): (split, index)
        for split in (data.train, data.val)
        for index, name in enumerate(split.names)
    }
    for correction in corrections:
        shown = f"{correction.row}: {printable(correction.image)}"
        if correction.image not in where:
            yield correction, f"{shown} is no image of train or val; test labels are not corrected"
            continue
        split, index = where[correction.image]
        if correction.label is not None and correction.label not in data.info.classes:
            label = printable(correction.label)
            yield correction, f"{correction.row}: there is no class {label}"
        elif correction.digest and image_digests([split.images[index]]) != [correction.digest]:
            yield (
                correction,
                f"{shown} has other pixels than it had, or the image size differs; without the "
                f"column digest only names are compared",
            )


def _correct(
    split: Split,
    classes: Sequence[str],
    by_image: Mapping[str, Correction],
    changes: list[tuple[str, str | None]],
) -> Split:
    """Return a split with its corrections, and add digest and label of each changed image."""
    labels, kept = split.labels.copy(), np.ones(len(split), np.bool_)
    for index, name in enumerate(split.names):
        correction = by_image.get(_key(name))
        if correction is None or correction.label == classes[labels[index]]:
            continue
        if correction.label is None:
            kept[index] = False
        else:
            labels[index] = classes.index(correction.label)
        changes.append((image_digests([split.images[index]])[0], correction.label))
    if kept.all():
        return dataclasses.replace(split, labels=labels)
    return select_images([dataclasses.replace(split, labels=labels)], kept)


def _corrected_info(
    info: DataInfo,
    splits: Mapping[SplitName, Split],
    changes: Sequence[tuple[str, str | None]],
) -> DataInfo:
    counts = images_per_class(splits, len(info.classes))
    missing = [
        f"class {printable(label)} would have no images in {name}"
        for name, numbers in counts.items()
        for label, count in zip(info.classes, numbers, strict=True)
        if count == 0
    ]
    if missing:
        raise _rows_error(missing)
    num_excluded = sum(label is None for _, label in changes)
    relabelled = pluralize(len(changes) - num_excluded, "image")
    note = f"corrected: {relabelled} relabelled, {num_excluded} excluded; the files are unchanged"
    return dataclasses.replace(
        info,
        fingerprint=digest(repr((info.fingerprint, sorted(changes, key=repr)))),
        counts={**info.counts, **counts},
        notes=(*info.notes, note),
        groups=groups_per_class(splits, len(info.classes)),
    )


def _rows_error(problems: Sequence[str]) -> DataError:
    more = [f"… and {len(problems) - _MAX_LISTED} more"] if len(problems) > _MAX_LISTED else []
    lines = "\n".join(f"  {problem}" for problem in [*problems[:_MAX_LISTED], *more])
    return DataError(f"the corrections do not fit the data:\n{lines}\nedit or remove these rows")
