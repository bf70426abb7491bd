"""A search on a laptop accepts no one else: looked at from outside, while a real one runs."""

import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from benchmarks import harness

pytestmark = pytest.mark.ray

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
CLIENT = """
import ray
ray.init(address="127.0.0.1:{port}", log_to_driver=False)
print("let in with", ray.cluster_resources()["CPU"])
"""


@pytest.fixture(scope="module")
def running(place):
    """A search under way, its folder for scratch, and the processes that belong to it."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("this system does not tell who listens")
    # Short, as the name of a socket must be.
    with tempfile.TemporaryDirectory(prefix="hs") as scratch:
        place.environment["TMPDIR"] = scratch
        process = place.start(
            "search", "tiny.yaml", *place.long, "--trials", "500", "--name", "open"
        )
        place.wait_for_epochs("open", 5, process)
        yield Path(scratch), family(process.pid)
        os.killpg(process.pid, 9)
        process.communicate()


def family(pid: int) -> dict[int, str]:
    """The command line of a process and of all that descend from it."""
    return {
        p: Path(f"/proc/{p}/cmdline").read_text().replace("\0", " ") for p in harness.family(pid)
    }


def listeners(pids) -> dict[str, list[str]]:
    """Addresses on which the processes listen, with their ports."""
    sockets = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # LISTEN
                sockets[f"socket:[{fields[9]}]"] = fields[1]
    found: dict[str, list[str]] = {}
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target in sockets:
                address, port = sockets[target].split(":")
                found.setdefault(readable(address), []).append(str(int(port, 16)))
    return found


def readable(address: str) -> str:
    """An address as /proc writes it: words of four bytes, each the wrong way round."""
    words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
    whole = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(whole) == 4 else socket.AF_INET6, whole)


@pytest.mark.versions
def test_everything_listens_on_loopback_only(running):
    _, processes = running
    assert any("gcs_server" in command for command in processes.values()), "Ray was looked at"
    found = listeners(processes)
    assert sum(map(len, found.values())) >= 3, "Ray listens on several ports"
    assert set(found) <= LOOPBACK, found


def test_the_dashboard_is_off(running):
    _, processes = running
    assert not [port for port, answer in answers(processes, "GET", "/") if "<html" in answer]


def test_what_speaks_http_asks_for_the_token_too(running):
    """Ray's agents could install packages or begin jobs. Ray's counters, in Prometheus' format,
    are there for all on this machine, where a Ray with its dashboard is installed."""
    _, processes = running
    asked = 0
    for method, path in (
        ("GET", "/api/version"), ("GET", "/logs"), ("POST", "/api/jobs/"),
        ("POST", "/api/job_agent/jobs/"), ("POST", "/get_or_create_runtime_env"),
    ):  # fmt: skip
        for port, answer in answers(processes, method, path):
            asked += "401" in answer
            assert answer.startswith(("401 ", "405 ", "200 # HELP ")), (port, method, path, answer)
    assert asked, "something that could be harmed was asked"


@pytest.mark.versions
def test_the_token_is_private_and_required(running, tmp_path):
    scratch, processes = running
    (token,) = scratch.glob("handsigns-*/token")
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    port = gcs_port(processes)
    clients = [
        join(port, settings)
        for settings in (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)},
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)},
            {"RAY_AUTH_MODE": "disabled"},
        )
    ]
    said = [client.communicate(timeout=900)[0] for client in clients]
    assert ["let in" in text for text in said] == [True, False, False], said


def test_a_requested_dashboard_is_on_loopback_and_wants_the_token(place):
    pytest.importorskip("aiohttp_cors", reason="Ray's dashboard is not installed")
    process = place.start("search", "tiny.yaml", *place.long, "--name", "dash", "--dashboard")
    place.wait_for_epochs("dash", 5, process)
    processes = family(process.pid)
    assert set(listeners(processes)) <= LOOPBACK
    page = dict(answers(processes, "GET", "/"))
    url = next(port for port, answer in page.items() if "<html" in answer)
    assert "401" in dict(answers(processes, "POST", "/api/jobs/"))[url]
    process.terminate()
    output = place.finish(process, 130)
    assert f"Ray's dashboard: http://127.0.0.1:{url} (it asks for the token in " in output


def answers(processes, method: str, path: str) -> list[tuple[str, str]]:
    """Port, and status with the beginning of the text, of each that speaks HTTP."""
    found = []
    for ports in listeners(processes).values():
        for port in ports:
            body = b'{"entrypoint": "true"}' if method == "POST" else None
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"},
                method=method,
            )  # fmt: skip
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    text = answer.read(500).decode(errors="replace")
                    found.append((port, f"{answer.status} {text}"))
            except urllib.error.HTTPError as refused:
                found.append((port, f"{refused.code} {refused.reason}"))
                refused.close()
            except (OSError, http.client.HTTPException):
                continue  # it speaks gRPC
    return found


def gcs_port(processes) -> str:
    """Of the server that all who join Ray speak to first, as the raylet was told it."""
    commands = [c for c in processes.values() if "--gcs-address=" in c]
    return re.search(r"--gcs-address=[\d.]+:(\d+)", commands[0])[1]


def join(port: str, settings: dict[str, str]) -> subprocess.Popen[str]:
    """A client that tries to join, and prints that it was let in if so."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    # Else it takes this machine's outer address for Ray's, which does not listen there.
    environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT.format(port=port)],
        env=environment | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
