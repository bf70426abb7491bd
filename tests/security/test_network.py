"""A search on a laptop accepts no one else: looked at from outside, while a real one runs."""

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

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
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has ended
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {p: Path(f"/proc/{p}/cmdline").read_text().replace("\0", " ") for p in found}


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


def test_everything_listens_on_loopback_only(running):
    _, processes = running
    assert any("gcs_server" in command for command in processes.values()), "Ray was looked at"
    found = listeners(processes)
    assert sum(map(len, found.values())) >= 3, "Ray listens on several ports"
    assert set(found) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, found


def test_the_dashboard_is_off(running):
    _, processes = running
    assert not any("dashboard/dashboard.py" in command for command in processes.values())


def test_the_token_is_its_owners_alone_and_without_it_no_one_is_let_in(running, tmp_path):
    scratch, processes = running
    (token,) = scratch.glob("handsigns-*/token")
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    command = next(c for c in processes.values() if "gcs_server" in c)
    found = re.search(r"--gcs_server_port=(\d+)", command)
    port = found[1] if found and found[1] != "0" else gcs_port(processes)
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    assert "let in" in join(port, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)})
    for attempt in (
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)},
    ):
        assert "let in" not in join(port, attempt), attempt


def gcs_port(processes) -> str:
    """As the raylet was told it."""
    commands = [c for c in processes.values() if "--gcs-address=" in c]
    return re.search(r"--gcs-address=[\d.]+:(\d+)", commands[0])[1]


def join(port: str, settings: dict[str, str]) -> str:
    """What a client prints that tries to join; it is given half a minute."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    try:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT.format(port=port)], env=environment | settings,
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "still trying"
    return done.stdout
