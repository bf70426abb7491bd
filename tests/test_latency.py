"""Latency of graphs: its statistics, and the file alone on a device."""

import csv
import subprocess
import sys
from types import SimpleNamespace

import pytest

from handsigns import latency
from handsigns.latency import NETWORKS_FILE, Latency, measure_latencies
from tests.support.workspace import REPOSITORY


@pytest.fixture
def measure(monkeypatch):
    """Measure graphs whose runs last given seconds by a simulated clock; also return the order."""

    def measure(**durations):
        clock, order = SimpleNamespace(now=0.0), []

        def make_run(name):
            remaining = iter(durations[name])

            def run():
                order.append(name)
                clock.now += next(remaining)

            return run

        monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        monkeypatch.setattr(latency, "_single_image_run", make_run)
        return measure_latencies(list(durations)), order

    return measure


def test_median_and_percentile_leave_out_the_warm_up(measure):
    warm_up = [9.0] * 20
    slow_every_tenth = [0.005 if number % 10 == 0 else 0.001 for number in range(400)]
    (found,), _ = measure(a=warm_up + slow_every_tenth)
    assert found == Latency(pytest.approx(1.0), pytest.approx(5.0), 400)
    (found,), _ = measure(a=warm_up + [0.001] * 396 + [0.005] * 4)
    assert found.p95_ms == pytest.approx(1.0)


def test_graphs_alternate_in_blocks(measure):
    found, order = measure(a=[0.001] * 420, b=[0.002] * 420)
    assert [one.median_ms for one in found] == pytest.approx([1.0, 2.0])
    blocks = "".join(name for k, name in enumerate(order) if k % 20 == 0)
    assert blocks == "ab" * 21
    assert order == [name for name in blocks for _ in range(20)]


def test_slow_graphs_are_measured_in_one_block(measure):
    found, _ = measure(a=[0.2] * 40, b=[0.1] * 40)
    assert [one.runs for one in found] == [20, 20]


def test_named_graphs_are_timed_without_a_table(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["latency.py", "model.onnx", "model.int8.onnx"])
    found = [Latency(0.71234, 0.9, 400), Latency(0.5, 0.6, 400)]
    monkeypatch.setattr(latency, "measure_latencies", lambda graphs: found[: len(graphs)])
    latency._main()
    assert capsys.readouterr().out.splitlines() == [
        "model.onnx: median 0.712 ms, p95 0.9 ms", "model.int8.onnx: median 0.5 ms, p95 0.6 ms"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("networks", "out", "message"),
    [
        ("file\na.onnx\n", "tables/device.csv", "create the folder or name another file"),
        ("file\na.onnx\n", ".", "create the folder or name another file"),
        ("file\n", "device.csv", "networks.csv lists no graphs"),
        (None, "device.csv", "networks.csv lists no graphs"),
    ],
)
def test_the_file_checks_its_folders_before_it_measures(
    networks, out, message, tmp_path, monkeypatch, capsys
):
    if networks is not None:
        (tmp_path / NETWORKS_FILE).write_text(networks)
    monkeypatch.setattr(latency, "__file__", str(tmp_path / "measure.py"))
    monkeypatch.setattr(latency, "measure_latencies", pytest.fail)
    monkeypatch.setattr(sys, "argv", ["measure.py", "--out", str(tmp_path / out)])
    with pytest.raises(SystemExit):
        latency._main()
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_file_runs_on_a_device_without_handsigns(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make = onnx.helper
    images = make.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", 8, 8, 3])
    out = make.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["N", 8, 8, 3])
    node = make.make_node("Cast", ["images"], ["out"], to=onnx.TensorProto.FLOAT)
    graph = make.make_graph([node], "cast", [images], [out])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=8)
    folder = tmp_path / "networks"
    folder.mkdir()
    onnx.save(model, folder / "cast.onnx")
    (folder / NETWORKS_FILE).write_text("file,architecture\ncast.onnx,compact\n")
    source = (REPOSITORY / "handsigns" / "latency.py").read_text()
    blocked = "import sys\nsys.modules['handsigns'] = sys.modules['torch'] = None\n"
    future = "from __future__ import annotations\n"
    (folder / "measure.py").write_text(source.replace(future, future + blocked))
    subprocess.run(
        [sys.executable, "-I", folder / "measure.py", "--out", "device.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    with (tmp_path / "device.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["architecture"]) == ("cast.onnx", "compact")
    assert 0 < float(row["latency_ms"]) <= float(row["p95_ms"])
