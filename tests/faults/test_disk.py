"""Full disk, read-only results, and vanished results."""

import os
import shutil
import subprocess

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.long]

SMALL_DISK = """
mkdir -p results
mount -t tmpfs -o size=160k tmpfs results || exit 77
{search} {options} --name full > full.txt 2>&1
echo $? > full.status
ls -a results/full results/full/checkpoints > full.files
mount -o remount,size=20m results
{resume} > resumed.txt 2>&1
echo $? > resumed.status
cp -r results kept
"""


def test_search_ends_on_a_full_disk_and_can_resume(workspace):
    """On a small tmpfs in a mount namespace of its own."""
    program = " ".join(workspace.command())
    script = SMALL_DISK.format(
        search=f"{program} search tiny.yaml",
        options=" ".join(workspace.long),
        resume=f"{program} resume full",
    )
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed")
    completed = subprocess.run(
        [unshare, "--mount", *user, "sh", "-c", script],
        cwd=workspace.root, env=workspace.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if not (workspace.root / "kept").exists():
        pytest.skip(f"tmpfs cannot be mounted: {completed.stderr.strip()}")

    output = (workspace.root / "full.txt").read_text()
    assert (workspace.root / "full.status").read_text() == "2\n", output
    assert "Traceback" not in output
    assert (
        "the search was aborted, as results cannot be written: [Errno 28] No space left" in output
    )
    # After a remedy, which the driver knows; a trial that notices first reports none.
    resume = workspace.suggested_command("resume", "full")
    assert f"; then resume with: {resume}" in output or f". Resume with: {resume}" in output
    assert ".tmp" not in (workspace.root / "full.files").read_text(), "no partial files remain"
    resumed = (workspace.root / "resumed.txt").read_text()
    assert (workspace.root / "resumed.status").read_text() == "0\n", resumed
    shutil.copytree(workspace.root / "kept" / "full", workspace.folder("full"))
    workspace.audit("full")


def test_read_only_or_vanished_results_can_be_resumed(workspace):
    # Root ignores permissions unless CAP_DAC_OVERRIDE is dropped.
    unprivileged = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    prefix = unprivileged if os.geteuid() == 0 else ()
    if prefix and shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed, and root ignores permissions")
    folder = workspace.folder("locked")
    process = workspace.start(
        "search", "tiny.yaml", *workspace.long, "--name", "locked", prefix=prefix
    )
    workspace.wait_for_epochs("locked", 10, process)
    (folder / "checkpoints").chmod(0o500)
    folder.chmod(0o500)
    output = workspace.finish(process, 2)
    assert (
        "the search was aborted, as results cannot be written: [Errno 13] Permission denied"
        in output
    )
    output = workspace.finish(workspace.start("resume", "locked", prefix=prefix), 2)
    assert "/locked" in output
    assert "Permission denied" in output
    folder.chmod(0o700)
    (folder / "checkpoints").chmod(0o700)

    process = workspace.start("resume", "locked")
    sessions = len(workspace.events("locked", "session_started"))
    workspace.wait_for(
        lambda: len(workspace.events("locked", "session_started")) > sessions, process
    )
    folder.rename(workspace.root / "elsewhere")
    output = workspace.finish(process, 2)
    assert "the search was aborted, as results cannot be written: [Errno 2]" in output
    assert not folder.exists(), "a vanished folder is not recreated"
    (workspace.root / "elsewhere").rename(folder)

    workspace.run("resume", "locked")
    assert [row["status"] for row in workspace.rows("locked")] == ["completed"] * 3
    workspace.audit("locked")
