"""Export of the winner as a self-contained graph for other runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.errors import ResultsError
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.next_step import ensure_winner

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.winner.export import ExportFormat

_NUM_CHECK_IMAGES = 256
"""Validation images on which a graph is compared with its model."""


@dataclass(frozen=True)
class ExportedGraph:
    """Exported graph.

    Attributes:
        path: path of its file.
        max_abs_diff: largest absolute difference from a probability of the model.
        tolerance: largest difference allowed.
    """

    path: Path
    max_abs_diff: float
    tolerance: float


def export(
    search: StoredSearch, form: ExportFormat, out: Path | None, inputs: InputOptions
) -> ExportedGraph:
    """Export the winner as one graph and compare it with the model on validation images.

    Args:
        search: the search.
        form: file format.
        out: path of a new file; None: a file beside the model, which is overwritten.
        inputs: its data and user code.

    Raises:
        ResultsError: there is no winner, the file exists, the graph differs, or packages are
            missing.
        DataError: the data have changed.
    """
    if out is not None:
        _ensure_not_exists(out)

    from handsigns.results.winner import read_model_card
    from handsigns.winner.export import DEFAULT_FILE_NAMES, TOLERANCE, check_extra, export_winner

    check_extra(form)
    ensure_winner(search.paths)
    read_model_card(search.paths.winner)
    path = out or search.paths.winner / DEFAULT_FILE_NAMES[form]
    images = open_verified_data(search, inputs.data).val.images[:_NUM_CHECK_IMAGES]
    print(f"exporting the graph and comparing it on {len(images)} validation images", flush=True)
    max_abs_diff = export_winner(
        search.paths.winner, form, path, images, trust_user_code=inputs.trust_user_code
    )
    return ExportedGraph(path, max_abs_diff, TOLERANCE)


def _ensure_not_exists(out: Path) -> None:
    if out.exists():
        raise ResultsError(f"{out} exists already; choose another file (--out) or remove it")
    if not out.parent.is_dir():
        raise ResultsError(f"no folder {out.parent} for {out.name}; create it first")
