"""Export the winner of a search as one graph for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.errors import ResultsError
from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.next_step import ensure_winner

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.winner.export import Format

_IMAGES = 256
"""Images of the validation split on which a graph is compared with its model."""


@dataclass(frozen=True)
class ExportedGraph:
    """A graph that was written.

    Attributes:
        path: its file.
        difference: the largest from a probability of the model.
        tolerance: the difference allowed.
    """

    path: Path
    difference: float
    tolerance: float


def export(search: StoredSearch, form: Format, out: Path | None, sources: Sources) -> ExportedGraph:
    """Write the winner as one graph, compared with the model itself on validation images.

    Args:
        search: the search.
        form: of the file.
        out: a file that does not exist yet; None: one beside the model, which is replaced.
        sources: its data and user code.

    Raises:
        ResultsError: there is no winner, the file exists, the graph differs, or packages are
            missing.
        DataError: the data have changed.
    """
    if out is not None:
        _check_free(out)

    from handsigns.results.winner import read_card
    from handsigns.winner.export import FILES, TOLERANCE, check_extra, export_winner

    check_extra(form)
    ensure_winner(search.paths)
    read_card(search.paths.winner)
    path = out or search.paths.winner / FILES[form]
    images = open_unchanged(search, sources.data).val.images[:_IMAGES]
    print(f"making a graph and comparing it on {len(images)} validation pictures", flush=True)
    difference = export_winner(
        search.paths.winner, form, path, images, allow_own_code=sources.trust_user_code
    )
    return ExportedGraph(path, difference, TOLERANCE)


def _check_free(out: Path) -> None:
    if out.exists():
        raise ResultsError(f"{out} exists already; name another file (--out) or remove it")
    if not out.parent.is_dir():
        raise ResultsError(f"no folder {out.parent} to write {out.name} to; make it first")
