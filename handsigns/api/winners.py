"""Test, prediction and export of the retrained winner."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.console.sanitize import note
from handsigns.errors import DataError
from handsigns.workflow import export as exporting
from handsigns.workflow import predict as predicting
from handsigns.workflow.data import InputOptions
from handsigns.workflow.export import ExportedGraph, ExportRequest
from handsigns.workflow.searches import open_synced
from handsigns.workflow.sync import synced_search_dir
from handsigns.workflow.test import evaluate_on_test

if TYPE_CHECKING:
    from handsigns.results.test_result import TestResult
    from handsigns.winner.export import ExportFormat
    from handsigns.winner.predict import Prediction, Winner


def test(
    name: str,
    *,
    after_test: bool = False,  # noqa: PT028 - not a test case
    data: PathLike | None = None,  # noqa: PT028
    trust_user_code: bool = False,  # noqa: PT028
    results: PathLike = "results",  # noqa: PT028
) -> TestResult:
    """Test the retrained winner: the only API function that opens the test split.

    Args:
        name: name of the search.
        after_test: declare that the trial was chosen (`trial` or `smallest_within` of `retrain`)
            after a test result was known, which test.json records.
        data: current folder of the images, if they were moved.
        trust_user_code: run user code that the trial names.
        results: folder of all searches.

    Raises:
        ResultsError: there is no winner, or it was chosen after a test and this is not declared.
        DataError: the data have changed.
    """
    with open_synced(Path(results), name) as search:
        return evaluate_on_test(
            search, InputOptions(as_path(data), trust_user_code), after_test=after_test
        )


test.__test__ = False  # type: ignore[attr-defined]  # keeps pytest from collecting it


def load_winner(
    name: str, *, trust_user_code: bool = False, results: PathLike = "results"
) -> Winner:
    """Load the retrained model of a search, ready to classify.

    Args:
        name: name of the search.
        trust_user_code: run a user-defined network.
        results: folder of all searches.

    Raises:
        ResultsError: there is no winner, or it needs user code that is not trusted.
    """
    with synced_search_dir(Path(results), name) as paths:
        return predicting.load_winner(paths, trust_user_code=trust_user_code)


def predict(
    winner: str | Winner,
    images: PathLike | Iterable[PathLike],
    *,
    skip_bad: bool = False,
    trust_user_code: bool = False,
    results: PathLike = "results",
) -> list[Prediction]:
    """Classify image files of any size.

    Args:
        winner: name of a search, or a loaded winner (`load_winner`), faster for repeated calls.
        images: file or folder, or several of them.
        skip_bad: skip files that are not usable images instead of raising an error.
        trust_user_code: run a user-defined network, where `winner` is a name.
        results: folder of all searches, where `winner` is a name.

    Returns:
        One prediction per image.

    Raises:
        ResultsError: there is no winner, or it needs user code that is not trusted.
        DataError: lists every file that is not a usable image; a folder has no images; or images
            are given in place of their files.
    """
    files = images if isinstance(images, Iterable) and not isinstance(images, str) else [images]
    paths = [_file_path(file) for file in files]
    if isinstance(winner, str):
        winner = load_winner(winner, trust_user_code=trust_user_code, results=results)
    outcome = predicting.predict(winner, paths)
    for text in outcome.notes:
        note(text)
    if outcome.unreadable and not skip_bad:
        from handsigns.winner.inputs import unusable_images_error

        remedy = "skip them to classify the others (skip_bad=True)"
        raise unusable_images_error(outcome.unreadable, remedy)
    return list(outcome.predictions)


def _file_path(file: object) -> Path:
    if not isinstance(file, str | os.PathLike):
        raise DataError(
            f"images must be paths of files or folders, not {type(file).__name__}; for images in "
            f"memory use load_winner(name).predict(images)"
        )
    return Path(file)


def export(
    name: str,
    format: ExportFormat = "onnx",  # noqa: A002 - named like the CLI option
    *,
    int8: bool = False,
    max_accuracy_drop: float | None = None,
    out: PathLike | None = None,
    data: PathLike | None = None,
    storage: str | None = None,
    trust_user_code: bool = False,
    results: PathLike = "results",
) -> ExportedGraph:
    """Export the winner as one graph, from images to probabilities, for other runtimes.

    The graph is compared with the model on validation images before it is written.

    Args:
        name: name of the search.
        format: ``onnx``, or ``torch-export``.
        int8: quantise an ONNX graph to int8, calibrated on training images.
        max_accuracy_drop: loss of validation accuracy, in [0, 1], above which an int8 graph is not
            written; None: 0.01.
        out: path of a new file; None: a file beside the model, which is overwritten.
        data: current folder of the images, if they were moved.
        storage: storage to pull its copy from; None: the recorded one, if any.
        trust_user_code: run a user-defined network.
        results: folder of all searches.

    Returns:
        Path of the file, and its measurements.

    Raises:
        ConfigError: the format is unknown, or int8 is asked for in another than ONNX.
        ResultsError: there is no winner, the file exists, the graph differs from the model, int8
            loses too much accuracy, or packages are missing.
        DataError: the data have changed.
    """
    inputs = InputOptions(as_path(data), trust_user_code)
    request = ExportRequest(format, inputs, as_path(out), int8, max_accuracy_drop)
    with open_synced(Path(results), name, storage) as search:
        return exporting.export(search, request)
