"""Python API: the full pipeline in one process, then export and serving of the winner."""

import http.client
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import handsigns
from handsigns.errors import ConfigError, DataError, HandsignsError, ResultsError
from tests.security.test_network import LOOPBACK, listeners, process_tree

FLOW = """
import json
import handsigns
from handsigns.errors import ResultsError

options = {"data": "bands", "size": 16, "trials": 4, "reports": None}
one = handsigns.search("tiny.yaml", name="one", **options)
assert one.reason == "all trials are done" and not one.interrupted
two = handsigns.search("tiny.yaml", name="two", overrides=["space.batch_size=8"], **options)
assert list(two.trials.batch_size) == [8] * 4
more = handsigns.resume("two", trials=5, reports=None)
assert list(more.trials.batch_size) == [8] * 5 and more.reason == "all trials are done"
loaded = handsigns.load_results("one")
assert loaded.trials.equals(one.trials) and loaded.leaderboard.equals(one.leaderboard)
best = one.leaderboard.trial_id[0]
winner = handsigns.retrain("one", seeds=1)
assert winner.card.trial_id == best
assert "not tested yet" in open("results/one/winner/README.md").read()
result = handsigns.test("one")
images = ["bands/test/high/0.png", "bands/test/low/1.png"]
by_name = handsigns.predict("one", images)
assert handsigns.replay("one", best).identical
assert handsigns.suspects("one").judged == {"train": 0, "val": 24}
assert handsigns.report("one").name == "index.html"
assert handsigns.compare(["one", "two"], reports=None).names == ["one", "two"]
assert handsigns.export("one", "torch-export").path.name == "model.pt2"
assert by_name == handsigns.predict(handsigns.load_winner("one"), images)
try:
    handsigns.search("tiny.yaml", name="one", **options)
except ResultsError as error:
    print("refused:", error)
print("accuracy", result.accuracy, [p.label for p in by_name])
"""


@pytest.fixture(scope="module")
def pipeline(workspace):
    """Workspace and output of the full pipeline, from search to predictions in one process."""
    process = subprocess.run(
        [sys.executable, "-c", FLOW], cwd=workspace.root,
        env=workspace.environment | {"PYTHONPATH": str(Path(handsigns.__file__).parents[1])},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return workspace, process.stdout + process.stderr


@pytest.mark.ray
def test_the_full_pipeline_in_one_process(pipeline):
    workspace, output = pipeline
    assert "refused: results/one already exists" in output
    assert "4/4 trials finished" in output
    assert re.search(r"accuracy [01]\.\d+ \['high', 'low'\]", output)
    workspace.audit("one")
    workspace.audit("two")


@pytest.mark.ray
def test_parquet_files_equal_the_typed_frames(pipeline):
    workspace, _ = pipeline
    found = handsigns.load_results("one", results=workspace.root / "results")
    for name in ("trials", "epochs"):
        frame = getattr(found, name)
        stored = pd.read_parquet(workspace.folder("one") / f"{name}.parquet")
        pd.testing.assert_frame_equal(stored, frame)
        rows = workspace.rows("one", name)
        assert list(rows[0]) == list(frame.columns)
        assert [row["trial_id"] for row in rows] == list(frame.trial_id)
    assert str(found.trials.started_at.dtype) == "datetime64[us, UTC]"
    assert found.trials.optimizer.cat.categories.tolist() == ["adam", "adamw", "sgd"]


@pytest.mark.ray
def test_user_errors_are_raised_as_handsigns_errors(pipeline):
    workspace, _ = pipeline
    results = workspace.root / "results"
    with pytest.raises(ConfigError, match="no search space qick"):
        handsigns.search("qick", results=results)
    with pytest.raises(ConfigError, match="trials: 0 is out of bounds"):
        handsigns.search("quick", trials=0, results=results)
    with pytest.raises(ResultsError, match="no search named none"):
        handsigns.load_results("none", results=results)
    with pytest.raises(ResultsError, match="no retrained winner"):
        handsigns.load_winner("two", results=results)
    with pytest.raises(HandsignsError, match="no trial 9"):
        handsigns.retrain("one", trial="9", results=results)
    with pytest.raises(DataError, match="nowhere: unreadable"):
        handsigns.predict("one", "nowhere", results=results)
    assert handsigns.predict("one", [], results=results) == []


@pytest.mark.ray
def test_test_results_and_model_card_are_written(pipeline):
    workspace, _ = pipeline
    winner = workspace.folder("one") / "winner"
    result = json.loads((winner / "test.json").read_text())
    assert sum(b["count"] for b in result["calibration"]["bins"]) == result["total"]
    assert 0 <= result["calibration"]["ece"] <= 1
    readme = (winner / "README.md").read_text()
    assert f"{result['correct']}/{result['total']} correct" in readme
    assert "has been opened once" in readme
    assert "This is optimistic" in readme
    assert "learning\\_rate" in readme


@pytest.mark.ray
def test_misclassified_images_are_saved_beside_the_result(pipeline):
    """The head's weights are overwritten, so that many images are misclassified."""
    from safetensors.torch import load_file, save_file

    workspace, _ = pipeline
    shutil.copytree(workspace.folder("two"), workspace.folder("poor"))
    winner = workspace.folder("poor") / "winner"
    workspace.run("retrain", "poor", "--seeds", "1", "--no-report")
    weights = load_file(winner / "model.safetensors")
    save_file({k: v * 0 + 1 if "head" in k else v for k, v in weights.items()},
              winner / "model.safetensors")  # fmt: skip
    (winner / "misclassified").mkdir()
    (winner / "misclassified" / "99.png").write_text("from a previous test")
    workspace.run("test", "poor", "--no-report")
    result = json.loads((winner / "test.json").read_text())
    assert len(result["misclassified"]) == 16, "two of three classes"
    for number, error in enumerate(result["misclassified"]):
        assert error["file"] == f"misclassified/{number:02d}.png"
        assert error["confidence"] == pytest.approx(1 / 3, abs=0.01)
        original = workspace.root / "bands" / error["image"]
        with Image.open(winner / error["file"]) as saved, Image.open(original) as expected:
            assert np.array_equal(np.asarray(saved), np.asarray(expected))
    assert len(list((winner / "misclassified").iterdir())) == 16
    assert ", predicted " in (winner / "README.md").read_text()


@pytest.mark.ray
def test_export(pipeline):
    pytest.importorskip("onnxruntime")
    workspace, _ = pipeline
    output = workspace.run("export", "one", "--format", "onnx")
    assert "comparing it on 24 validation images" in output
    assert re.search(
        r"maximum absolute difference of probabilities: \S+ \(tolerance: 0.0001\)", output
    )
    assert (workspace.folder("one") / "winner" / "model.onnx").stat().st_size > 1000
    (workspace.root / "taken").write_text("mine")
    output = workspace.run("export", "one", "--format", "onnx", "--out", "taken", status=2)
    assert "taken exists already" in output
    assert (workspace.root / "taken").read_text() == "mine"


@pytest.mark.ray
def test_export_to_int8(pipeline):
    pytest.importorskip("onnxruntime")
    workspace, _ = pipeline
    shutil.copytree(workspace.folder("one"), workspace.folder("int8"))
    winner = workspace.folder("int8") / "winner"
    arguments = ("export", "int8", "--format", "onnx", "--int8")
    output = workspace.run(*arguments, "--max-accuracy-drop", "1")
    assert "quantising it to int8" in output
    row = r"int8 +\d+\.\d kB +\S+ ms +\S+ ms +\d+\.\d\d% \(\d+/24\)"
    assert re.search(row, output)
    assert "int8 changes a probability by at most" in output
    assert f"written to {Path('results/int8/winner/model.int8.onnx')}" in output
    assert "| int8 |" in (winner / "README.md").read_text()
    workspace.run("test", "int8", "--no-report")
    assert "| int8 |" in (winner / "README.md").read_text(), "the test keeps the section"
    record = json.loads((winner / "onnx_int8.json").read_text())
    assert record["int8"]["file_bytes"] == (winner / "model.int8.onnx").stat().st_size
    assert (record["num_val"], record["num_calibration"]) == (24, 60)
    out = workspace.root / "api.onnx"
    exported = handsigns.export(
        "int8", int8=True, max_accuracy_drop=1, out=out, results=workspace.root / "results",
        data=workspace.root / "bands",
    )  # fmt: skip
    assert exported.path == out
    assert exported.int8.int8.file_bytes == out.stat().st_size
    assert exported.int8.int8_correct == record["int8_correct"]


@pytest.fixture(scope="module")
def service(pipeline):
    """Process of `serve`, its URL, and its output at the start."""
    pytest.importorskip("starlette")
    workspace, _ = pipeline
    process, url, output = workspace.serve("one")
    yield process, url, output
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def request(url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict]:
    """Send a request; return status and JSON of the response."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named), timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.ray
def test_serve_returns_the_same_as_predict(pipeline, service):
    workspace, _ = pipeline
    _, url, _ = service
    path = workspace.root / "bands/test/high/0.png"
    (expected,) = handsigns.predict("one", path, results=workspace.root / "results")
    content = path.read_bytes()
    form = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n'
    form += b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="0.png"\r\n'
    form += b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--xyz--\r\n"
    model_status, about = request(f"{url}/model")
    assert (model_status, about["classes"], about["search"]) == (
        200, ["high", "low", "middle"], "one",
    )  # fmt: skip
    for response in (
        request(f"{url}/predict", content, content_type="image/png"),
        request(f"{url}/predict", form, content_type="multipart/form-data; boundary=xyz"),
    ):
        status, prediction = response
        assert (status, prediction["label"]) == (200, expected.label)
        assert prediction["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
        assert prediction["sure"] == (
            sum(p >= about["threshold"] for p in prediction["probabilities"].values()) == 1
        )


@pytest.mark.ray
def test_serve_rejects_invalid_images(service):
    _, url, _ = service
    assert request(f"{url}/predict", b"plain text")[0] == 400
    assert "not an image" in request(f"{url}/predict", b"plain text")[1]["error"]
    assert request(f"{url}/predict", b"") == (400, {"error": "empty: 0 bytes"})
    content_type = "multipart/form-data; boundary=xyz"
    assert request(f"{url}/predict", b"--xyz--", content_type=content_type)[0] == 400
    assert request(f"{url}/elsewhere")[0] == 404
    assert request(f"{url}/predict")[0] == 405


@pytest.mark.ray
def test_serve_limits_the_size_of_requests(service):
    _, url, _ = service
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    # Without a declared size.
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=900)
    connection.request("POST", "/predict", iter([bytes(2**20)] * 205), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 413
    connection.close()
    assert request(f"{url}/model")[0] == 200


@pytest.mark.ray
def test_serve_listens_on_loopback_only_and_stops_at_ctrl_c(pipeline, service):
    workspace, _ = pipeline
    process, url, output = service
    processes = process_tree(process.pid)
    found = listeners(processes)
    assert any("ServeReplica" in command for command in processes.values())
    assert url.rpartition(":")[2] in found["127.0.0.1"]
    assert set(found) <= LOOPBACK, found
    command = re.search(r"curl .*", output)[0].replace("photo.jpg", "bands/test/high/0.png")
    assert command == f"curl --data-binary @bands/test/high/0.png {url}/predict"
    assert "port" in workspace.run("serve", "one", "--port", url.rpartition(":")[2], status=2)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == "stopped"
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def test_report_is_a_function_beside_the_reporting_package():
    import handsigns.reporting.write

    assert callable(handsigns.reporting.write.write_report)
    with pytest.raises(ResultsError, match="no search named none"):
        handsigns.report("none")
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        handsigns.serach  # noqa: B018


@pytest.mark.parametrize("size", [0, 8, 2000])
def test_an_image_size_out_of_bounds_is_refused(size, tmp_path):
    message = f"size: {size} is not between 16 and 1024 pixels"
    with pytest.raises(ConfigError, match=message):
        handsigns.search("quick", size=size, results=tmp_path)
    with pytest.raises(ConfigError, match=message):
        handsigns.check(tmp_path, size=size, reports=None)


@pytest.mark.parametrize("seeds", [0, 1001])
def test_a_number_of_seeds_out_of_bounds_is_refused(seeds, tmp_path):
    with pytest.raises(ConfigError, match=f"--seeds: {seeds} is not between 1 and 1000"):
        handsigns.retrain("one", seeds=seeds, results=tmp_path)


def test_every_public_name_is_callable():
    public = set(handsigns.__all__) - {"__version__"}
    assert public <= set(dir(handsigns))
    assert public < set(importlib.import_module("handsigns.api").__all__)
    assert all(callable(getattr(handsigns, name)) for name in public)
