"""The folder that `prepare` creates, and how a rerun recognises it.

`manifest.json` records the source and the settings, and whether the folder is complete.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from handsigns.console.progress import ProgressCallback
from handsigns.console.sanitize import printable
from handsigns.data.file_types import is_system_file
from handsigns.data.folders import absolute_path, entries, find_images
from handsigns.data.layouts import is_detection
from handsigns.data.listing import BadFile, ImageListing
from handsigns.data.parallel import content_digests
from handsigns.data.splits import SplitName
from handsigns.errors import DataError, ResultsError
from handsigns.io.atomic import atomic_write
from handsigns.io.digest import hasher
from handsigns.io.json_file import read_json, write_json

GROUPS = "groups.csv"
_MANIFEST = "manifest.json"


class PreparedFolder:
    """Folder of a prepared data set.

    Args:
        dest: the folder.
        listing: images of the source.
        settings: settings that a rerun must share.
        progress: called while the images of the source are read.

    Attributes:
        unusable: printable names of the files that the previous run could not use.
        numbers: suffixes by which it distinguished images of equal stem, by their printable names.
    """

    def __init__(
        self,
        dest: Path,
        listing: ImageListing,
        settings: Mapping[str, Any],
        progress: ProgressCallback,
    ) -> None:
        self._dest = dest
        self._listing = listing
        self._settings = settings
        self._progress = progress
        self.unusable: frozenset[str] = frozenset()
        self.numbers: dict[str, int] = {}

    def init(self) -> None:
        """Create the folder, or check that it is empty or has the same source and settings.

        Raises:
            DataError: it is a file, or has another source, other settings or other content.
            OSError: it cannot be written.
        """
        shown = printable(str(self._dest))
        if self._dest.exists() and not self._dest.is_dir():
            raise DataError(f"{shown} is a file; pass a new folder")
        self._dest.mkdir(parents=True, exist_ok=True)
        if not entries(self._dest):
            self.write_manifest([], {})
            return
        try:
            found = read_json(self._dest / _MANIFEST, dict[str, Any])
            self.unusable = frozenset(found.get("unusable", ()))
            self.numbers = found.get("numbers", {})
            expected = {"source": self._source_digest(self.unusable), **self._settings}
            differing = [key for key, value in expected.items() if found[key] != value]
            if "numbers" not in found:
                differing = ["version of handsigns"]
        except (OSError, KeyError, ResultsError) as error:
            raise DataError(
                f"{shown} is not empty and was not created by prepare; pass a new folder"
            ) from error
        if differing:
            raise DataError(
                f"{shown} was created with a different {' and '.join(differing)}; pass a new "
                f"folder, or remove this one"
            )

    def check_no_foreign_images(self, targets: Collection[Path]) -> None:
        """Reject images in the folder from elsewhere, which would become part of the data set."""
        foreign = sorted(
            path.relative_to(self._dest).as_posix()
            for path in find_images(self._dest)
            if path not in targets
        )
        if foreign:
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            origin = "not created by prepare from this source"
            if not {"val", "test"} <= self._listing.images.keys():
                origin += ", unless its splits have changed (by other groups or mended files)"
            raise DataError(
                f"{printable(str(self._dest))} contains {printable(foreign[0])}{more}, {origin}; "
                f"move that away, or pass a new folder"
            )

    def write_manifest(
        self,
        bad: Sequence[BadFile],
        numbers: Mapping[str, int],
        counts: Mapping[SplitName, int] | None = None,
    ) -> None:
        """Record the source and which of its files are bad: a rerun accepts that these change.

        Args:
            bad: the bad files.
            numbers: suffixes that distinguish images of equal stem, by printable name.
            counts: number of images by split once the folder is complete.
        """
        unusable = sorted(printable(file.name) for file in bad)
        manifest = {
            "source": self._source_digest(set(unusable)),
            **self._settings,
            "unusable": unusable,
            "numbers": dict(numbers),
            "complete": counts is not None,
        }
        write_json(self._dest / _MANIFEST, manifest | ({"images": counts} if counts else {}))

    def write_groups(self, groups: Mapping[Path, str]) -> None:
        """Write the group of each image, by its path, as the table that `group_by` reads."""
        with (
            atomic_write(self._dest / GROUPS) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("image", "group"))
            for path, group in groups.items():
                writer.writerow((path.relative_to(self._dest).as_posix(), group))

    def _source_digest(self, unusable: Collection[str]) -> str:
        """Return the digest of names and contents, as uncompressed files may have equal sizes."""
        state = hasher()
        for split, members in self._listing.images.items():
            for image in members:
                if unusable and printable(image.name) in unusable:
                    continue
                text = f"{split}/{image.name}/{self._digests.get(image.name)}\n"
                state.update(text.encode(errors="surrogateescape"))
        return state.hexdigest()

    @cached_property
    def _digests(self) -> dict[str, str]:
        return content_digests(self._listing, self._progress)[0]


def check_not_nested(source: Path, dest: Path) -> None:
    """Reject a `dest` inside the source, whose images would become part of the source."""
    if absolute_path(dest).is_relative_to(absolute_path(source)):
        raise DataError(
            f"{printable(str(dest))} is inside the source folder {printable(str(source))}; pass a "
            f"folder outside it"
        )


def check_folder_names(classes: Sequence[str]) -> None:
    """Reject class names, which a label table may have, that are no names of class folders."""
    if is_detection(classes):
        raise DataError(
            f"folders {' and '.join(map(printable, classes))}, which prepare would create, look "
            f"like those of an object-detection data set; rename a class in the label table"
        )
    for label in classes:
        if is_system_file(label) or {"/", "\\", "\0"} & {*label} or len(label.encode()) > 255:
            raise DataError(
                f"class {printable(label)} cannot be the name of a folder, which prepare creates; "
                f"rename it in the label table"
            )
