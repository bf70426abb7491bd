"""Network exposure of a running local search, probed from outside."""

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
print("connected with", ray.cluster_resources()["CPU"])
"""


@pytest.fixture(scope="module")
def running(workspace):
    """Run a search; yield its scratch folder and its process tree."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("listening sockets cannot be listed without /proc/net/tcp")
    # A short prefix, as socket paths have a maximum length.
    with tempfile.TemporaryDirectory(prefix="hs") as scratch:
        workspace.environment["TMPDIR"] = scratch
        process = workspace.start(
            "search", "tiny.yaml", *workspace.data, "--max-epochs", "150", "--trials", "500",
            "--name", "open", prefix=("nice", "-n", "19"),
        )  # fmt: skip
        workspace.wait_for_epochs("open", 5, process)
        yield Path(scratch), process_tree(process.pid)
        os.killpg(process.pid, 9)
        process.communicate()


def process_tree(pid: int) -> dict[int, str]:
    """Return the command lines of a process and its descendants, by pid."""
    return {
        p: Path(f"/proc/{p}/cmdline").read_text().replace("\0", " ")
        for p in harness.process_tree(pid)
    }


def listeners(pids) -> dict[str, list[str]]:
    """Return the ports on which the processes listen, by address."""
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
    """Convert an address from /proc, which has four-byte words in reverse byte order."""
    words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


@pytest.mark.versions
def test_all_services_listen_on_loopback_only(running):
    _, processes = running
    assert any("gcs_server" in command for command in processes.values()), (
        "Ray is among the processes"
    )
    found = listeners(processes)
    assert sum(map(len, found.values())) >= 3, "Ray listens on several ports"
    assert set(found) <= LOOPBACK, found


def test_dashboard_is_off_by_default(running):
    _, processes = running
    assert not [port for port, text in http_responses(processes, "GET", "/") if "<html" in text]


def test_http_services_require_the_token(running):
    """Ray's agents could install packages or start jobs.

    Only Ray's metrics, in Prometheus format, are open to all users of this machine.
    """
    _, processes = running
    unauthorized = 0
    for method, path in (
        ("GET", "/api/version"), ("GET", "/logs"), ("POST", "/api/jobs/"),
        ("POST", "/api/job_agent/jobs/"), ("POST", "/get_or_create_runtime_env"),
    ):  # fmt: skip
        for port, text in http_responses(processes, method, path):
            unauthorized += "401" in text
            assert text.startswith(("401 ", "405 ", "200 # HELP ")), (port, method, path, text)
    assert unauthorized, "at least one service required the token"


@pytest.mark.versions
def test_token_is_private_and_required(running, tmp_path):
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
    outputs = [client.communicate(timeout=900)[0] for client in clients]
    assert ["connected" in text for text in outputs] == [True, False, False], outputs


def test_requested_dashboard_is_on_loopback_and_requires_the_token(workspace):
    pytest.importorskip("aiohttp_cors", reason="Ray's dashboard is not installed")
    process = workspace.start(
        "search", "tiny.yaml", *workspace.long, "--name", "dash", "--dashboard"
    )
    workspace.wait_for_epochs("dash", 5, process)
    processes = process_tree(process.pid)
    assert set(listeners(processes)) <= LOOPBACK
    pages = dict(http_responses(processes, "GET", "/"))
    port = next(port for port, text in pages.items() if "<html" in text)
    assert "401" in dict(http_responses(processes, "POST", "/api/jobs/"))[port]
    process.terminate()
    output = workspace.finish(process, 130)
    assert f"Ray's dashboard: http://127.0.0.1:{port} (log in with the token in " in output


def http_responses(processes, method: str, path: str) -> list[tuple[str, str]]:
    """Return port, and status with the start of the body, of each HTTP service."""
    found = []
    for ports in listeners(processes).values():
        for port in ports:
            body = b'{"entrypoint": "true"}' if method == "POST" else None
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"},
                method=method,
            )  # fmt: skip
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    text = response.read(500).decode(errors="replace")
                    found.append((port, f"{response.status} {text}"))
            except urllib.error.HTTPError as error:
                found.append((port, f"{error.code} {error.reason}"))
                error.close()
            except (OSError, http.client.HTTPException):
                continue  # it speaks gRPC
    return found


def gcs_port(processes) -> str:
    """Return the port of Ray's GCS server from the raylet's command line."""
    commands = [c for c in processes.values() if "--gcs-address=" in c]
    return re.search(r"--gcs-address=[\d.]+:(\d+)", commands[0])[1]


def join(port: str, settings: dict[str, str]) -> subprocess.Popen[str]:
    """Start a client that connects to Ray and, if accepted, prints so."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    # Otherwise it uses this machine's external address, on which Ray does not listen.
    environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT.format(port=port)],
        env=environment | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
