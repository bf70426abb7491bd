"""Quantisation of the winner's ONNX graph to int8, and its comparison with the float32 graph.

Static quantisation: weights and activations are 8-bit integers with fixed scales (Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018). The ranges of the activations are those on training images.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from handsigns.console.progress import ProgressCallback
from handsigns.data.dataset import DataSet
from handsigns.data.images import Pixels
from handsigns.data.splits import Split
from handsigns.errors import ResultsError
from handsigns.io.atomic import atomic_write
from handsigns.results.exports import Int8Export
from handsigns.winner.onnx_graph import image_batches, open_onnx, profile_graphs

INT8_FILE_NAME = "model.int8.onnx"
NUM_CALIBRATION = 256
"""Largest number of training images that the ranges are measured on."""
_SEED = 0
_OPERATORS = ("Conv", "Gemm", "MatMul")
"""Operators computed in int8: those with weights, and a ReLU after them. Around the others,
converting the values costs small networks more time than it saves."""

Advance = Callable[[int], None]
"""Callback with the number of images just processed."""


def export_int8(
    graph: Path, out: Path, data: DataSet, *, max_accuracy_drop: float, progress: ProgressCallback
) -> Int8Export:
    """Write the int8 form of a float32 graph, compared with it on the validation split.

    Args:
        graph: float32 graph.
        out: the file to write; an existing one is replaced atomically.
        data: data of the search; the test split is not opened.
        max_accuracy_drop: largest loss of validation accuracy allowed, in [0, 1].
        progress: callback with the numbers of processed and of all images.

    Raises:
        ResultsError: the graph cannot be quantised, or its accuracy drops more than allowed;
            nothing is written.
    """
    calibration = _sample(data.train.images)
    done, total = 0, len(calibration) + len(data.val)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    with atomic_write(out) as temporary:
        _quantize(graph, temporary, calibration, advance)
        float32_correct, int8_correct, change = _compare(graph, temporary, data.val, advance)
        float32, int8 = profile_graphs([graph, temporary])
        export = Int8Export(
            float32=float32,
            int8=int8,
            num_calibration=len(calibration),
            num_val=len(data.val),
            float32_correct=float32_correct,
            int8_correct=int8_correct,
            max_probability_change=change,
        )
        _check_accuracy(export, max_accuracy_drop, out)
    return export


def _check_accuracy(export: Int8Export, max_accuracy_drop: float, out: Path) -> None:
    # Differences of fractions such as 0.98 - 0.97 are inexact.
    if export.accuracy_drop > max_accuracy_drop + 1e-9:
        allowed = math.ceil(1000 * export.accuracy_drop) / 1000
        raise ResultsError(
            f"the int8 graph classifies {export.int8_correct} of {export.num_val} validation "
            f"images correctly, the float32 graph {export.float32_correct}: accuracy drops by "
            f"{export.accuracy_drop:.2%}, more than {max_accuracy_drop:.2%}; {out} was not "
            f"written. Export without --int8, or allow it: --max-accuracy-drop {allowed:g}"
        )


def _sample(images: Pixels) -> Pixels:
    """Return a random sample of images, the same each time."""
    chosen = np.random.default_rng(_SEED).permutation(len(images))[:NUM_CALIBRATION]
    return images[np.sort(chosen)]


def _quantize(graph: Path, out: Path, calibration: Pixels, advance: Advance) -> None:
    """Write the int8 form of a graph.

    Weights are signed, with a scale for each output channel; activations are unsigned. Weights use
    7 bits: the sum of two products of 8 bits would saturate on x86 processors without VNNI, where
    the same file would give other results.
    """
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import (  # type: ignore[import-untyped]
        quant_pre_process,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Reader of the calibration images, in batches."""

        def __init__(self) -> None:
            self._batches = iter(image_batches(calibration))

        def get_next(self) -> dict[str, Pixels] | None:
            batch = next(self._batches, None)
            if batch is None:
                return None
            advance(len(batch))
            return {"images": batch}

    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        try:
            # Folds batch norms into the convolutions before them.
            quant_pre_process(graph, folded, skip_symbolic_shape=True)
            _share_equal_weights(folded)
            quantize_static(
                folded,
                out,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_OPERATORS),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # onnxruntime's tools raise nearly anything
            reason = str(error).strip().split("\n")[0]
            raise ResultsError(
                f"onnxruntime cannot quantise the model ({reason}); export without --int8"
            ) from error


def _share_equal_weights(graph: Path) -> None:
    """Store equal weights once: folding copies those of networks that also see mirror images."""
    import onnx

    model = onnx.load(graph)
    kept: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    for weights in list(model.graph.initializer):
        name, weights.name = weights.name, ""
        first = kept.setdefault(weights.SerializeToString(deterministic=True), name)
        weights.name = name
        if first != name:
            renamed[name] = first
            model.graph.initializer.remove(weights)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    onnx.save(model, graph)


def _compare(graph: Path, int8: Path, val: Split, advance: Advance) -> tuple[int, int, float]:
    """Return the numbers of images that each graph gets right, and the largest change (NaN: 1)."""
    runs = (open_onnx(graph), open_onnx(int8))
    correct, change = [0, 0], 0.0
    labels = val.labels
    for batch in image_batches(val.images):
        probs = [run(batch) for run in runs]
        for which, found in enumerate(probs):
            correct[which] += int((found.argmax(1) == labels[: len(batch)]).sum())
        difference = float(np.abs(probs[0] - probs[1]).max())
        change = max(change, 1.0 if math.isnan(difference) else min(difference, 1.0))
        labels = labels[len(batch) :]
        advance(len(batch))
    return correct[0], correct[1], change
