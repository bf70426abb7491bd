"""Export of the winner as a self-contained graph for other runtimes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import atomic_write
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.next_step import ensure_winner
from handsigns.workflow.sync import exclusive_access

if TYPE_CHECKING:
    from handsigns.data.dataset import DataSet
    from handsigns.results.exports import GraphProfile, Int8Export
    from handsigns.results.store import StoredSearch
    from handsigns.winner.export import ExportFormat

MAX_ACCURACY_DROP = 0.01
"""Loss of validation accuracy that int8 may cause unless another is given."""
_NUM_CHECK_IMAGES = 256
"""Validation images on which a graph is compared with its model."""


@dataclass(frozen=True)
class ExportRequest:
    """Request to export the winner.

    Attributes:
        form: file format.
        inputs: data and user code of the search.
        out: path of a new file; None: a file beside the model, which is overwritten.
        int8: whether to quantise an ONNX graph to int8.
        max_accuracy_drop: largest loss of validation accuracy that this may cause, in [0, 1]; None:
            `MAX_ACCURACY_DROP`.
    """

    form: ExportFormat
    inputs: InputOptions
    out: Path | None = None
    int8: bool = False
    max_accuracy_drop: float | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of the command, after the name of the search."""
        drop = self.max_accuracy_drop
        return (
            *("--format", self.form),
            *(("--int8",) if self.int8 else ()),
            *(() if drop is None else ("--max-accuracy-drop", f"{drop:g}")),
            *(() if self.out is None else ("--out", str(self.out))),
            *self.inputs.arguments,
        )


@dataclass(frozen=True)
class ExportedGraph:
    """Exported graph.

    Attributes:
        path: path of its file.
        max_abs_diff: largest absolute difference of the float32 graph from a probability of the
            model.
        tolerance: largest difference allowed.
        onnx: size and latency of a float32 ONNX graph.
        int8: comparison of an int8 graph with the float32 graph.
    """

    path: Path
    max_abs_diff: float
    tolerance: float
    onnx: GraphProfile | None = None
    int8: Int8Export | None = None


def export(search: StoredSearch, request: ExportRequest) -> ExportedGraph:
    """Export the winner as one graph and compare it with the model on validation images.

    Of an ONNX graph, size and latency are measured and added to the model card.

    Raises:
        ConfigError: the format is unknown, or the request asks for int8 in another format, or
            limits what it does not ask.
        ResultsError: there is no winner, the file exists, the graph differs, int8 loses too much
            accuracy, packages are missing, or the search is being run.
        DataError: the data have changed.
        ResourceError: the storage of its copy cannot be read.
    """
    _check_request(request)

    ensure_winner(search.paths)
    if request.out is not None and request.form != "onnx":
        return _export(search, request)  # nothing is written to the search
    with exclusive_access(search.paths):  # a retraining would replace the winner meanwhile
        return _export(search, request)


def _export(search: StoredSearch, request: ExportRequest) -> ExportedGraph:
    from handsigns.results.test_result import read_test_result
    from handsigns.results.winner import read_model_card, read_retraining
    from handsigns.winner.export import DEFAULT_FILE_NAMES
    from handsigns.winner.onnx_graph import check_extra
    from handsigns.winner.quantize import INT8_FILE_NAME

    folder = search.paths.winner
    read_model_card(folder)
    if request.form == "onnx":
        check_extra("use --format torch-export")
        # The model card, which is written after the export, needs these.
        read_retraining(folder)
        read_test_result(folder)
    name = INT8_FILE_NAME if request.int8 else DEFAULT_FILE_NAMES[request.form]
    path = request.out or folder / name
    data = open_verified_data(search, request.inputs.data)
    if request.int8:
        return _export_int8(search, request, path, data)
    return _export_float32(search, request, path, data)


def _check_request(request: ExportRequest) -> None:
    from handsigns.winner.export import FORMATS

    if request.form not in FORMATS:
        raise ConfigError(f"format: {request.form!r} is none of {', '.join(FORMATS)}")
    if request.int8 and request.form != "onnx":
        raise ConfigError(f"--int8 quantises ONNX graphs: use --format onnx, not {request.form}")
    drop = request.max_accuracy_drop
    if drop is not None and not request.int8:
        raise ConfigError("--max-accuracy-drop limits the loss by --int8, which is not given")
    if drop is not None and not 0 <= drop <= 1:
        raise ConfigError(f"--max-accuracy-drop {drop:g} is not between 0 and 1")
    if request.out is not None:
        ensure_new_file(request.out)


def ensure_new_file(out: Path) -> None:
    """Check that a file given by --out can be created.

    Raises:
        ResultsError: it exists, or its folder does not.
    """
    if out.exists():
        raise ResultsError(f"{out} exists already; choose another file (--out) or remove it")
    if not out.parent.is_dir():
        raise ResultsError(f"no folder {out.parent} for {out.name}; create it first")


def _export_float32(
    search: StoredSearch, request: ExportRequest, path: Path, data: DataSet
) -> ExportedGraph:
    from handsigns.results.exports import write_onnx_profile
    from handsigns.winner.export import TOLERANCE
    from handsigns.winner.model_card import rewrite_readme
    from handsigns.winner.onnx_graph import profile_graphs

    profile = None
    with atomic_write(path) as temporary:
        max_abs_diff = _write_graph(search, request, temporary, data)
        if request.form == "onnx":
            print("measuring the latency", flush=True)
            (profile,) = profile_graphs([temporary])
    if profile is not None:
        write_onnx_profile(search.paths.winner, profile)
        rewrite_readme(search)
    return ExportedGraph(path, max_abs_diff, TOLERANCE, onnx=profile)


def _export_int8(
    search: StoredSearch, request: ExportRequest, path: Path, data: DataSet
) -> ExportedGraph:
    from handsigns.results.exports import write_int8_export
    from handsigns.winner.export import TOLERANCE
    from handsigns.winner.model_card import rewrite_readme
    from handsigns.winner.quantize import export_int8

    drop = request.max_accuracy_drop
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        max_abs_diff = _write_graph(search, request, graph, data)
        print("quantising it to int8 and measuring accuracy and latency of both", flush=True)
        with progress("quantising and comparing") as report:
            int8 = export_int8(
                graph,
                path,
                data,
                max_accuracy_drop=MAX_ACCURACY_DROP if drop is None else drop,
                progress=report,
            )
    write_int8_export(search.paths.winner, int8)
    rewrite_readme(search)
    return ExportedGraph(path, max_abs_diff, TOLERANCE, int8=int8)


def _write_graph(search: StoredSearch, request: ExportRequest, path: Path, data: DataSet) -> float:
    """Write the float32 graph, compared with the model; return the largest difference."""
    from handsigns.winner.export import export_winner

    images = data.val.images[:_NUM_CHECK_IMAGES]
    print(f"exporting the graph and comparing it on {len(images)} validation images", flush=True)
    return export_winner(
        search.paths.winner,
        request.form,
        path,
        images,
        trust_user_code=request.inputs.trust_user_code,
    )
