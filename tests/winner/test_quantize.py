"""Graphs quantised to int8, run by onnxruntime and compared with the float32 graph."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.splits import Split
from handsigns.errors import ResultsError
from handsigns.winner.export import export_winner
from handsigns.winner.quantize import NUM_CALIBRATION, export_int8
from tests.support.images import make_split
from tests.support.winners import (
    NAMES,
    SIZE,
    data_of,
    random_images,
    random_network,
    save_winner,
    trained_network,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow

CONFIG = TrialConfig(channel_width=8)


TRAIN, VAL = make_split(96, seed=1, size=SIZE), make_split(45, seed=2, size=SIZE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Float32 graph of a trained ensemble with test-time augmentation."""
    members = [trained_network(CONFIG, TRAIN, seed) for seed in range(2)]
    folder = tmp_path_factory.mktemp("exported") / "winner"
    return export_float32(save_winner(folder, CONFIG, *members))


@pytest.fixture
def graph(exported, tmp_path):
    """Copy of the float32 graph."""
    return Path(shutil.copy(exported, tmp_path))


def export_float32(folder):
    export_winner(folder, "onnx", folder / "model.onnx", random_images(8))
    return folder / "model.onnx"


def quantize(graph, train=TRAIN, val=VAL, max_accuracy_drop=0.01):
    """Quantise a graph; return the comparison, the path and the reported progress."""
    out, calls = graph.with_name("model.int8.onnx"), []
    export = export_int8(
        graph, out, data_of(train, val), max_accuracy_drop=max_accuracy_drop,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    return export, out, calls


def run(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def test_the_comparison_agrees_with_the_two_graphs(graph):
    export, out, calls = quantize(graph)
    expected, found = run(graph, VAL.images), run(out, VAL.images)
    assert export.float32_correct == (expected.argmax(1) == VAL.labels).sum() >= 40
    assert export.int8_correct == (found.argmax(1) == VAL.labels).sum()
    change = np.abs(found - expected).max()
    assert export.max_probability_change == pytest.approx(change, abs=1e-3)
    assert 0 < change < 0.2
    assert (export.num_val, export.num_calibration) == (45, 96)
    assert calls[-1] == (96 + 45, 96 + 45)
    assert export.float32.file_bytes == graph.stat().st_size
    assert export.int8.file_bytes == out.stat().st_size
    assert min(export.float32.latency.median_ms, export.int8.latency.median_ms) > 0


def test_all_weights_are_int8_with_a_scale_per_channel(graph):
    _, out, _ = quantize(graph)
    model = onnx.load(out)
    weights = {value.name: value for value in model.graph.initializer}
    scales = {
        node.input[0]: weights[node.input[1]] for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in weights
    }  # fmt: skip
    matrices = [value for value in weights.values() if len(value.dims) > 1]
    assert len(matrices) == 2 * 5, "four convolutions and the head of each member, once"
    for value in matrices:
        assert value.data_type == onnx.TensorProto.INT8
        assert len(onnx.numpy_helper.to_array(scales[value.name])) == value.dims[0]
        # 7 bits, which cannot saturate on any processor.
        assert np.abs(onnx.numpy_helper.to_array(value).astype(int)).max() <= 64


@pytest.mark.parametrize("architecture", ["cs230", "torchvision/mobilenet_v3_small"])
def test_other_architectures_stay_close_for_any_batch_size(tmp_path, architecture):
    config = TrialConfig(architecture=architecture, channel_width=4)
    graph = export_float32(save_winner(tmp_path / "winner", config, random_network(config)))
    split = Split(random_images(40), np.zeros(40, np.int64), ("",) * 40)
    export, out, _ = quantize(graph, split, split, max_accuracy_drop=1)
    assert export.max_probability_change < 0.25
    for count in (1, 2, 7):
        found = run(out, random_images(count))
        assert found.shape == (count, 3)
        assert found.sum(1) == pytest.approx(np.ones(count), abs=1e-5)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(NAMES)
    assert metadata["size"] == str(SIZE)


def test_training_images_alone_calibrate(graph):
    _, out, _ = quantize(graph)
    content = out.read_bytes()
    quantize(graph, val=make_split(30, seed=9, size=SIZE))
    assert out.read_bytes() == content
    quantize(graph, train=make_split(96, seed=9, size=SIZE))
    assert out.read_bytes() != content


def test_calibration_uses_a_sample_of_many_images(graph):
    export, _, calls = quantize(graph, make_split(NUM_CALIBRATION + 50, size=SIZE))
    assert export.num_calibration == NUM_CALIBRATION
    assert calls[-1][1] == NUM_CALIBRATION + len(VAL)


def test_a_drop_of_accuracy_is_refused_unless_allowed(graph):
    """Ranges measured on grey images clip the pixels of all others."""
    grey = Split(np.full_like(TRAIN.images, 128), TRAIN.labels, TRAIN.names)
    message = r"accuracy drops by \d\d\.\d\d%, more than 1\.00%"
    with pytest.raises(ResultsError, match=message) as error:
        quantize(graph, grey)
    assert sorted(path.name for path in graph.parent.glob("*.onnx*")) == ["model.onnx"]
    allowed = float(str(error.value).rpartition(" ")[2])
    export, out, _ = quantize(graph, grey, max_accuracy_drop=allowed)
    assert 0.1 < export.accuracy_drop <= allowed
    assert out.exists()


def test_a_graph_that_cannot_be_quantised_is_reported(graph):
    graph.write_bytes(b"no graph")
    with pytest.raises(ResultsError, match="onnxruntime cannot quantise the model"):
        quantize(graph)
    assert [path.name for path in graph.parent.glob("*.onnx*")] == ["model.onnx"]
