"""From Python: the whole way in one process, then what a user does with the winner."""

import http.client
import importlib
import json
import os
import re
import signal
import socket
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
from tests.security.test_network import LOOPBACK, family, listeners

FLOW = """
import json
import handsigns
from handsigns.errors import ResultsError

options = {"data": "bands", "size": 16, "trials": 4}
one = handsigns.search("tiny.yaml", name="one", **options)
assert one.reason == "all trials are done" and not one.by_user
two = handsigns.search("tiny.yaml", name="two", overrides=["space.batch_size=8"], **options)
assert list(two.trials.batch_size) == [8] * 4
more = handsigns.resume("two", trials=5)
assert list(more.trials.batch_size) == [8] * 5 and more.reason == "all trials are done"
again = handsigns.load_results("one")
assert again.trials.equals(one.trials) and again.leaderboard.equals(one.leaderboard)
best = one.leaderboard.trial_id[0]
winner = handsigns.retrain("one", seeds=1)
assert winner.card.trial_id == best
assert "not tested yet" in open("results/one/winner/README.md").read()
result = handsigns.test("one")
pictures = ["bands/test/high/0.png", "bands/test/low/1.png"]
by_name = handsigns.predict("one", pictures)
assert handsigns.replay("one", best).identical
assert handsigns.report("one").name == "index.html"
assert handsigns.compare(["one", "two"], reports=None).names == ["one", "two"]
assert handsigns.export("one", "torch-export").name == "model.pt2"
assert by_name == handsigns.predict(handsigns.load_winner("one"), pictures)
try:
    handsigns.search("tiny.yaml", name="one", **options)
except ResultsError as error:
    print("refused:", error)
print("accuracy", result.accuracy, [p.label for p in by_name])
"""


@pytest.fixture(scope="module")
def done(place):
    """The way from search to predictions in one process; its place, and what it printed."""
    finished = subprocess.run(
        [sys.executable, "-c", FLOW], cwd=place.root,
        env=place.environment | {"PYTHONPATH": str(Path(handsigns.__file__).parents[1])},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    return place, finished.stdout + finished.stderr


@pytest.mark.ray
def test_the_whole_way_in_one_process(done):
    place, output = done
    assert "refused: results/one exists already" in output
    assert "4/4 trials ended" in output
    assert re.search(r"accuracy [01]\.\d+ \['high', 'low'\]", output)
    place.audit("one")
    place.audit("two")


@pytest.mark.ray
def test_parquet_has_the_typed_frames(done):
    place, _ = done
    found = handsigns.load_results("one", results=place.root / "results")
    for name in ("trials", "epochs"):
        frame = getattr(found, name)
        stored = pd.read_parquet(place.folder("one") / f"{name}.parquet")
        pd.testing.assert_frame_equal(stored, frame)
        rows = place.rows("one", name)
        assert list(rows[0]) == list(frame.columns)
        assert [row["trial_id"] for row in rows] == list(frame.trial_id)
    assert str(found.trials.started_at.dtype) == "datetime64[us, UTC]"
    assert found.trials.optimizer.cat.categories.tolist() == ["adam", "adamw", "sgd"]


@pytest.mark.ray
def test_errors_are_ours_and_never_end_the_process(done):
    place, _ = done
    results = place.root / "results"
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
def test_what_a_test_writes(done):
    place, _ = done
    winner = place.folder("one") / "winner"
    result = json.loads((winner / "test.json").read_text())
    assert sum(b["count"] for b in result["calibration"]["bins"]) == result["total"]
    assert 0 <= result["calibration"]["ece"] <= 1
    readme = (winner / "README.md").read_text()
    assert f"{result['correct']} of {result['total']} pictures" in readme
    assert "has been opened once" in readme
    assert "This is optimistic" in readme
    assert "learning\\_rate" in readme


@pytest.mark.ray
def test_pictures_that_were_missed_are_kept_beside_the_result(done):
    """With a model of random weights, many are."""
    from safetensors.torch import load_file, save_file

    place, _ = done
    winner = place.folder("two") / "winner"
    place.run("retrain", "two", "--seeds", "1")
    weights = load_file(winner / "model.safetensors")
    save_file({k: v * 0 + 1 if "head" in k else v for k, v in weights.items()},
              winner / "model.safetensors")  # fmt: skip
    (winner / "wrong").mkdir()
    (winner / "wrong" / "99.png").write_text("of an earlier test")
    place.run("test", "two")
    result = json.loads((winner / "test.json").read_text())
    assert len(result["wrong"]) == 16, "two classes of three"
    for number, mistake in enumerate(result["wrong"]):
        assert mistake["file"] == f"wrong/{number:02d}.png"
        assert mistake["confidence"] == pytest.approx(1 / 3, abs=0.01)
        original = place.root / "bands" / mistake["picture"]
        kept, true = Image.open(winner / mistake["file"]), Image.open(original)
        assert np.array_equal(np.asarray(kept), np.asarray(true))
    assert len(list((winner / "wrong").iterdir())) == 16
    assert ", predicted " in (winner / "README.md").read_text()


@pytest.mark.ray
@pytest.mark.parametrize(("form", "file"), [("onnx", "model.onnx"), ("torch-export", "model.pt2")])
def test_export(done, form, file):
    pytest.importorskip("onnxruntime")
    place, _ = done
    output = place.run("export", "one", "--format", form)
    assert "comparing it on 24 validation pictures" in output
    assert re.search(r"largest difference of a probability: \S+ \(allowed: 0.0001\)", output)
    assert (place.folder("one") / "winner" / file).stat().st_size > 1000
    (place.root / "taken").write_text("mine")
    output = place.run("export", "one", "--format", form, "--out", "taken", status=2)
    assert "taken exists already" in output
    assert (place.root / "taken").read_text() == "mine"


@pytest.fixture(scope="module")
def service(done):
    """`serve` as a process of its own: the process, its address, and what it said at first."""
    pytest.importorskip("starlette")
    place, _ = done
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = place.start("serve", "one", "--port", str(port))
    said = []
    while not (said and "curl" in said[-1]):
        said.append(process.stdout.readline())
        assert said[-1], said
    yield process, f"http://127.0.0.1:{port}", "".join(said)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict]:
    """Status and JSON of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.ray
def test_serve_answers_with_what_predict_gives(done, service):
    place, _ = done
    _, url, _ = service
    path = place.root / "bands/test/high/0.png"
    (expected,) = handsigns.predict("one", path, results=place.root / "results")
    content = path.read_bytes()
    form = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n'
    form += b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="0.png"\r\n'
    form += b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--xyz--\r\n"
    for answer in (
        ask(f"{url}/predict", content, content_type="image/png"),
        ask(f"{url}/predict", form, content_type="multipart/form-data; boundary=xyz"),
    ):
        status, found = answer
        assert (status, found["label"]) == (200, expected.label)
        assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    status, about = ask(f"{url}/")
    assert (status, about["classes"], about["search"]) == (200, ["high", "low", "middle"], "one")


@pytest.mark.ray
def test_serve_refuses_what_is_no_picture(service):
    _, url, _ = service
    assert ask(f"{url}/predict", b"not a picture")[0] == 400
    assert "not an image" in ask(f"{url}/predict", b"not a picture")[1]["error"]
    assert ask(f"{url}/predict", b"") == (400, {"error": "empty: 0 bytes"})
    kind = "multipart/form-data; boundary=xyz"
    assert ask(f"{url}/predict", b"--xyz--", content_type=kind)[0] == 400
    assert ask(f"{url}/elsewhere")[0] == 404
    assert ask(f"{url}/predict")[0] == 405


@pytest.mark.ray
def test_serve_reads_no_more_than_a_picture_may_have(service):
    _, url, _ = service
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    # One that does not say how large it is.
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=900)
    connection.request("POST", "/predict", iter([bytes(2**20)] * 205), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 413
    connection.close()
    assert ask(f"{url}/")[0] == 200


@pytest.mark.ray
def test_serve_listens_on_loopback_only_and_ends_when_told(done, service):
    place, _ = done
    process, url, said = service
    processes = family(process.pid)
    found = listeners(processes)
    assert any("ServeReplica" in command for command in processes.values())
    assert url.rpartition(":")[2] in found["127.0.0.1"]
    assert set(found) <= LOOPBACK, found
    command = re.search(r"curl .*", said)[0].replace("photo.jpg", "bands/test/high/0.png")
    assert command == f"curl --data-binary @bands/test/high/0.png {url}/predict"
    assert "port" in place.run("serve", "one", "--port", url.rpartition(":")[2], status=2)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == "ended"
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def test_importing_handsigns_loads_nothing_heavy():
    script = (
        "import sys, handsigns\n"
        "assert callable(handsigns.search) and {'predict', 'search'} <= set(dir(handsigns))\n"
        "import handsigns.api\n"
        "heavy = {'torch', 'ray', 'optuna', 'torchvision', 'pandas', 'numpy', 'rich', 'IPython'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_report_is_a_package_and_can_be_called():
    import handsigns.reporting.write

    assert callable(handsigns.reporting.write.write_report)
    with pytest.raises(ResultsError, match="no search named none"):
        handsigns.report("none")
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        handsigns.serach  # noqa: B018


def test_every_name_that_is_offered_is_there():
    offered = set(handsigns.__all__) - {"__version__"}
    assert offered < set(importlib.import_module("handsigns.api").__all__)
    assert all(callable(getattr(handsigns, name)) for name in offered)
