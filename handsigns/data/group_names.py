"""Groups that the user names: images of one object, person or film, to be kept together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from handsigns.console.format import pluralize
from handsigns.console.progress import no_progress
from handsigns.console.sanitize import printable
from handsigns.data.csv_table import column_names, read_table
from handsigns.data.folders import resolve_data_folder
from handsigns.data.listing import BadFile, ImageListing
from handsigns.data.naming import is_utf8, plain_path
from handsigns.errors import DataError

FOLDER = "folder"
_COLUMNS = ["image", "group"]
_MAX_NAMED = 3

GroupNames = dict[str, str]
"""Names of groups by name of the image; an image that is missing is a group by itself."""


def group_names(source: Path, listing: ImageListing, group_by: str | None) -> GroupNames:
    """Return the groups of a listing's images.

    Args:
        source: folder of the images.
        listing: its images.
        group_by: ``folder``, a CSV file (its path below the folder or archive) with the columns
            image and group, or a regular expression that is searched in file names, whose first
            group, or whole match, names the group, unless it is empty. None: no groups.

    Raises:
        DataError: the groups cannot be read, or name no image.
    """
    if group_by is None:
        return {}
    names = [image.name for image in listing.all_images]
    if group_by == FOLDER:
        found = _by_folder(listing)
        missing = "no image lies in a folder below its class folder"
    elif group_by.lower().endswith(".csv"):
        known = [*names, *(b.name for b in listing.bad)]
        found = _from_table(_table_path(source, listing, group_by), known)
        missing = "it names no image"
    else:
        found = _by_pattern(names, _compile(group_by))
        missing = f"it matches no file name, such as {printable(names[0])}" if names else ""
    if names and not found:
        raise DataError(f"group_by {printable(group_by)}: {missing}")
    return found


def unnamed_note(names: GroupNames, listing: ImageListing) -> list[str]:
    """Return a note on the images without a named group, if there are names."""
    images = [image.name for image in listing.all_images]
    unnamed = [name for name in images if name not in names]
    if not names or not unnamed:
        return []
    named = ", ".join(map(printable, unnamed[:_MAX_NAMED]))
    more = ", …" if len(unnamed) > _MAX_NAMED else ""
    return [f"{pluralize(len(unnamed), 'image')} in no named group: {named}{more}"]


def unwritable_names(names: GroupNames) -> list[BadFile]:
    """Return the images with a group whose names are not UTF-8, as `prepare` writes its table."""
    reason = "the name is not UTF-8, as groups.csv must be; rename it"
    return [BadFile(name, reason) for name in names if not is_utf8(name)]


def _by_folder(listing: ImageListing) -> GroupNames:
    """Group by the path below the class folder, the same for all classes and splits."""
    if listing.layout != "classes":
        return {}
    images = listing.all_images
    folders = {image.name: PurePosixPath(image.name).parts[:-1] for image in images}
    # Without folders of splits the class folder comes first.
    classes_first = all(_same_name(folders[i.name][0], i.label) for i in images)
    depth = 1 if classes_first else 2
    found = {name: "/".join(parts[depth:]) for name, parts in folders.items()}
    return {name: folder for name, folder in found.items() if folder}


def _same_name(folder: str, label: str) -> bool:
    return unicodedata.normalize("NFC", folder).casefold() == label.casefold()


def _by_pattern(names: Sequence[str], group_of: Callable[[str], str | None]) -> GroupNames:
    found = ((name, group_of(PurePosixPath(name).name)) for name in names)
    return {name: group for name, group in found if group}


def _compile(pattern: str) -> Callable[[str], str | None]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"group_by {printable(pattern)} is neither folder, nor a CSV file, nor a regular "
            f"expression: {error}"
        ) from error

    def group_of(name: str) -> str | None:
        match = compiled.search(name)
        return match and match[1 if compiled.groups else 0]

    return group_of


def _table_path(source: Path, listing: ImageListing, file: str) -> Path:
    """Return the path of a table: below the folder where image names begin, or else `source`."""
    images = listing.all_images
    for image in images[:1]:
        inside = image.path.parents[len(PurePosixPath(image.name).parts) - 1] / file
        if inside.is_file():
            return inside
    return resolve_data_folder(source, no_progress) / file


def _from_table(path: Path, known: Sequence[str]) -> GroupNames:
    """Read the groups from a table, whose rows must name images.

    Raises:
        DataError: it cannot be read, has other columns, a row names no image, or rows contradict
            each other.
    """
    shown = printable(str(path))
    header, rows = read_table(path)
    if column_names(header) != _COLUMNS or any(len(row) != 2 for _, row in rows):
        raise DataError(f"group_by: {shown} needs two columns with the header image,group")
    found = _groups_of_rows(shown, rows)
    plain = {name: plain_path(name).strip() for name in known}
    unknown = sorted(found.keys() - set(plain.values()))
    if unknown:
        raise DataError(
            f"group_by: {shown} names {pluralize(len(unknown), 'image')} that are not there, such "
            f"as {printable(unknown[0])}; write the path below the data folder, such as "
            f"{printable(min(known, default='train/cat/1.jpg'))}"
        )
    return {name: group for name in known if (group := found.get(plain[name]))}


def _groups_of_rows(shown: str, rows: Sequence[tuple[int, list[str]]]) -> GroupNames:
    """Return the groups of rows by plain name; an image may be repeated in the same group."""
    found: GroupNames = {}
    lines: dict[str, int] = {}
    for line, (file, group) in rows:
        name, group = plain_path(file).strip(), group.strip()
        if found.setdefault(name, group) != group:
            raise DataError(
                f"group_by: {shown} gives {printable(name)} different groups in lines "
                f"{lines[name]} and {line}; keep one of them"
            )
        lines.setdefault(name, line)
    return found
