"""Suspect labels of a search: found when its trials end, and given back to another search."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.sanitize import note
from handsigns.errors import HandsignsError, ResultsError

if TYPE_CHECKING:
    from handsigns.data.dataset import DataSet
    from handsigns.results.store import StoredSearch
    from handsigns.results.suspects import SuspectLabels

SUSPECTS_FILE = "suspects.csv"


def update_suspects(search: StoredSearch, data: DataSet) -> None:
    """Find and store the suspect labels of a search; print what it says of leaks, and a failure."""
    from handsigns.reporting.suspects import describe_leak_effect
    from handsigns.results.suspect_search import find_suspects
    from handsigns.results.suspects import write_suspects

    try:
        found = find_suspects(search, data)
        if found is not None:
            write_suspects(search.paths, found)
            if found.leak_effect is not None:
                note(describe_leak_effect(found.leak_effect))
    except (HandsignsError, OSError) as error:
        note(f"suspect labels could not be determined: {error}")


def load_suspects(search: StoredSearch) -> SuspectLabels:
    """Return the suspect labels of a search.

    Raises:
        ResultsError: there are none, or their file is damaged.
    """
    from handsigns.results.suspects import read_suspects

    found = read_suspects(search.paths, search.data.info.fingerprint)
    if found is None:
        raise ResultsError(
            f"no suspect labels of {search.paths.name} are known: they are determined at the end "
            f"of a session, from trials that were trained to the end; re-evaluate the top trials: "
            f"{search.paths.reevaluation.resume_command}"
        )
    return found


def write_suspects_file(suspects: SuspectLabels, folder: Path) -> tuple[Path, bool]:
    """Write the suspects as CSV into a folder, unless a file there, perhaps edited, differs.

    Returns:
        Path of the file, and whether it has these suspects.

    Raises:
        OSError: it cannot be written.
    """
    from handsigns.io.atomic import write_text
    from handsigns.io.output_marker import make_output_folder

    text = io.StringIO()
    suspects.write_csv(text)
    path = folder / SUSPECTS_FILE
    if path.exists():
        return path, path.read_bytes() == text.getvalue().encode()
    make_output_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    write_text(path, text.getvalue())
    return path, True
