"""Responses of the service, and batches of concurrent requests, without Ray's processes."""

import asyncio
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from handsigns.config.hyperparameters import TrialConfig
from handsigns.results.winner import ModelCard
from handsigns.winner.page import load_page

pytest.importorskip("starlette")
from ray.exceptions import ActorDiedError
from starlette.requests import Request

from handsigns.errors import ResourceError
from handsigns.winner import service
from handsigns.winner.serve import served

pytestmark = pytest.mark.slow

CARD = ModelCard(
    config=TrialConfig(), classes=("dark", "medium", "light"), size=16, epochs=1, seeds=(1,),
    search="shades", trial_id="0000", selected_by="rank", selected_after_test=False,
    fingerprint="f", git_revision=None, user_code={}, trained_seeds=(1,), confidence_threshold=0.8,
)  # fmt: skip


class Shades:
    """Winner that predicts the class from the brightness, and records its batches."""

    card = CARD

    def __init__(self):
        self.batches = []

    def probabilities(self, images):
        self.batches.append(len(images))
        numbers = images.mean(axis=(1, 2, 3)).astype(int) // 86
        return np.eye(3, dtype=np.float32)[numbers]


@pytest.fixture(scope="module")
def runner():
    """Yield one event loop for all tests, as Ray Serve keeps a queue per method in the first."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def shades(monkeypatch, runner):
    winner = Shades()
    monkeypatch.setattr(service, "serve_on_loopback", lambda host: None)
    monkeypatch.setattr(service.torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(service, "load_winner", lambda *_, **__: winner)
    # Ray Serve's batches compare their limit with that of the replica, which is missing here.
    limits = SimpleNamespace(max_ongoing_requests=service.MAX_CONCURRENT_REQUESTS)
    replica = SimpleNamespace(_deployment_config=limits)
    monkeypatch.setattr(service.serve, "get_replica_context", lambda: replica)
    return SimpleNamespace(
        winner=winner,
        service=service.PredictionService("winner", "127.0.0.1", False),
        runner=runner,
    )


def png(brightness: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (16, 16), brightness).save(content, "PNG")
    return content.getvalue()


def request(method: str, path: str, body: bytes | None = b"", **headers: str) -> Request:
    """Return a request; without a body, its body never arrives."""

    async def receive():
        if body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    encoded = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {
        "type": "http", "method": method, "path": path, "headers": encoded, "query_string": b"",
    }  # fmt: skip
    return Request(scope, receive)


def respond(shades, *requests):
    async def respond_to_all():
        return await asyncio.gather(*map(shades.service, requests))

    return shades.runner.run(respond_to_all())


def test_concurrent_requests_are_batched_and_answered_each(shades):
    brightness = [0, 255, 128, 10, 250, 120] * 5
    responses = respond(shades, *(request("POST", "/predict", png(b)) for b in brightness))
    labels = [json.loads(response.body)["label"] for response in responses]
    assert labels == ["dark", "light", "medium"] * 10
    assert sum(shades.winner.batches) == 30
    assert 1 < max(shades.winner.batches) <= service.MAX_CONCURRENT_REQUESTS


def test_an_unusable_image_does_not_affect_the_batch(shades):
    bodies = [png(0), b"not an image", b"", png(255)]
    responses = respond(shades, *(request("POST", "/predict", body) for body in bodies))
    assert [response.status_code for response in responses] == [200, 400, 400, 200]
    assert json.loads(responses[3].body)["label"] == "light"


def test_stalled_requests_make_way_for_others(shades, monkeypatch):
    monkeypatch.setattr(service, "_READ_TIMEOUT_S", 0.05)
    stalled = [request("POST", "/predict", None) for _ in range(8)]
    responses = respond(shades, *stalled, request("POST", "/predict", png(255)))
    assert [response.status_code for response in responses] == [408] * 8 + [200]
    assert "did not arrive" in json.loads(responses[0].body)["error"]


def test_too_large_requests_are_refused_while_others_are_read(shades, monkeypatch):
    monkeypatch.setattr(service, "_READ_TIMEOUT_S", 0.5)
    refused = []

    async def send(sent, delay):
        await asyncio.sleep(delay)
        refused.append((await shades.service(sent)).status_code)

    async def send_all():
        stalled = (send(request("POST", "/predict", None), 0) for _ in range(4))
        lengths = ("209715201", "9" * 5000)
        large = (
            send(request("POST", "/predict", None, content_length=length), 0.01)
            for length in lengths
        )
        await asyncio.gather(*stalled, *large)

    shades.runner.run(send_all())
    assert refused == [413, 413, 408, 408, 408, 408]


def test_the_page_forbids_other_origins_and_inline_code(shades):
    for path, asset in load_page().items():
        (response,) = respond(shades, request("GET", path))
        assert (response.status_code, response.body) == (200, asset.content)
        policy = response.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
        assert not any("unsafe" in rule or "http" in rule for rule in policy)
    html = load_page()["/"].content.decode()
    assert "style=" not in html
    assert '<script type="module" src="page.js"></script>' in html
    assert html.count("<script") == 1


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/predict", {"sec_fetch_site": "cross-site"}),
        ("POST", "/predict", {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}),
        ("POST", "/predict", {"sec_fetch_site": "same-site"}),  # of another port
        ("GET", "/model", {"host": "attacker.example:8000", "sec_fetch_site": "same-origin"}),
        ("GET", "/model", {"host": "localhost.attacker.example"}),
    ],
)
def test_pages_of_other_sites_are_refused(shades, method, path, headers):
    (response,) = respond(shades, request(method, path, png(0), **headers))
    assert response.status_code == 403
    assert "error" in json.loads(response.body)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:80"])
def test_own_page_links_and_programs_are_answered(shades, host):
    own = {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"}
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    responses = respond(
        shades,
        request("POST", "/predict", png(0), host=host),
        request("POST", "/predict", png(0), host=host, **own),
        request("GET", "/", host=host, **link),
    )
    assert [response.status_code for response in responses] == [200, 200, 200]


def test_unknown_paths_and_methods_are_refused(shades):
    for method, path, status in (
        ("GET", "/../config.yaml", 404), ("GET", "/index.html", 404), ("POST", "/", 405),
        ("GET", "/predict", 405), ("DELETE", "/model", 405),
    ):  # fmt: skip
        (response,) = respond(shades, request(method, path))
        assert response.status_code == status, path
        assert "error" in json.loads(response.body)


@pytest.mark.parametrize(
    ("threshold", "probs", "sure"),
    [
        (0.8, [0.1, 0.8, 0.1], True),
        (0.8, [0.1, 0.79, 0.11], False),
        (0.2, [0.5, 0.3, 0.2], False),  # three classes reach it
        (0.2, [0.7, 0.15, 0.15], True),
        (None, [0.5, 0.3, 0.2], True),
        (None, [0.4, 0.3, 0.3], False),
    ],
)
def test_sure_is_exactly_one_class_at_the_threshold(threshold, probs, sure):
    card = ModelCard(**vars(CARD) | {"confidence_threshold": threshold})
    found = service.prediction(card, probs)
    assert found["sure"] == sure
    assert found["label"] == CARD.classes[np.argmax(probs)]
    model = service.describe_model(card)
    assert model["threshold"] == (threshold or 0.5)
    assert model["threshold_calibrated"] == (threshold is not None)


@pytest.mark.parametrize("failures", [1, 2])
def test_a_start_that_fails_is_repeated(monkeypatch, tmp_path, failures):
    started = _start_after(failures, monkeypatch)
    with served(tmp_path, 8000):
        assert len(started) == failures + 1


def test_a_start_that_fails_says_what_to_do(monkeypatch, tmp_path):
    _start_after(sys.maxsize, monkeypatch)
    advice = pytest.raises(ResourceError, match=r"Ray Serve did not start: .*\n.*try again")
    with advice, served(tmp_path, 8000):
        pass


def _start_after(failures: int, monkeypatch) -> list[dict]:
    """Let this many starts of Ray Serve fail; return the attempts as they are made."""
    attempts = []

    def start(**options):
        attempts.append(options)
        if len(attempts) <= failures:
            raise ActorDiedError

    monkeypatch.setattr(service.serve, "start", start)
    for name in ("run", "shutdown"):
        monkeypatch.setattr(service.serve, name, lambda *_, **__: None)
    return attempts
