"""Use the retrained winner of a search: test it, classify with it, export it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.errors import DataError
from handsigns.results.paths import SearchPaths
from handsigns.workflow import export as exporting
from handsigns.workflow import predict as predicting
from handsigns.workflow.data import Sources
from handsigns.workflow.searches import opened
from handsigns.workflow.test import evaluate_on_test

if TYPE_CHECKING:
    from handsigns.results.winner import TestResult
    from handsigns.winner.export import Format
    from handsigns.winner.predict import Prediction, Winner


def test(
    name: str,
    *,
    after_test: bool = False,  # noqa: PT028 - this is no test case
    data: PathLike | None = None,  # noqa: PT028
    own_code: bool = False,  # noqa: PT028
    results: PathLike = "results",  # noqa: PT028
) -> TestResult:
    """Test the retrained winner: the only function here that opens the test split.

    Args:
        name: of the search.
        after_test: test a trial picked by hand after a test result was known; test.json says so.
        data: where the images are now, if they were moved.
        own_code: run user code that the trial names.
        results: the folder of all searches.

    Raises:
        ResultsError: there is no winner, or it was picked after a test and this is not declared.
        DataError: the data have changed.
    """
    with opened(Path(results), name) as search:
        return evaluate_on_test(search, Sources(as_path(data), own_code), after_test=after_test)


test.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever pytest makes of it


def load_winner(name: str, *, own_code: bool = False, results: PathLike = "results") -> Winner:
    """Load the retrained model of a search, ready to classify.

    Args:
        name: of the search.
        own_code: run a network of the user's.
        results: the folder of all searches.

    Raises:
        ResultsError: there is none, or it runs code that is not allowed.
    """
    paths = SearchPaths.existing(Path(results), name)
    return predicting.load_winner(paths, trust_user_code=own_code)


def predict(
    winner: str | Winner,
    pictures: PathLike | Iterable[PathLike],
    *,
    skip_bad: bool = False,
    results: PathLike = "results",
) -> list[Prediction]:
    """Classify image files of any size.

    Args:
        winner: the name of a search, or what `load_winner` gave, which is faster for many calls.
        pictures: a file or a folder, or several.
        skip_bad: leave out files that are no usable images, rather than raise an error.
        results: the folder of all searches, where `winner` is a name.

    Raises:
        ResultsError: there is no winner.
        DataError: lists every file that is no usable image; or a folder has no images.
    """
    loaded = load_winner(winner, results=results) if isinstance(winner, str) else winner
    files = [pictures] if isinstance(pictures, str | Path) else pictures
    found = predicting.predict(loaded, map(Path, files))
    if found.bad and not skip_bad:
        listed = "\n".join(f"  {bad.name}: {bad.reason}" for bad in found.bad)
        raise DataError(
            f"no usable images:\n{listed}\nleave them out (skip_bad=True) to have the others"
        )
    return list(found.good)


def export(
    name: str,
    format: Format = "onnx",  # noqa: A002 - as the command's option
    *,
    out: PathLike | None = None,
    data: PathLike | None = None,
    storage: str | None = None,
    own_code: bool = False,
    results: PathLike = "results",
) -> Path:
    """Write the winner as one graph for other programs, from images to probabilities.

    Before it is put in place it is compared with the model itself on validation images.

    Args:
        name: of the search.
        format: ``onnx``, or ``torch-export``.
        out: a file that does not exist yet; None: one beside the model, which is replaced.
        data: where the images are now, if they were moved.
        storage: where a copy of the search is, which is pulled; None: where it is known to be.
        own_code: run a network of the user's.
        results: the folder of all searches.

    Returns:
        the file.

    Raises:
        ResultsError: there is no winner, the file exists, the graph differs from the model, or
            packages are missing.
        DataError: the data have changed.
    """
    with opened(Path(results), name, storage) as search:
        sources = Sources(as_path(data), own_code)
        graph = exporting.export(search, format, as_path(out), sources)
    return graph.path
