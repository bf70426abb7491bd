"""The disk fills, or the results become read-only, or vanish."""

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


def test_a_full_disk_ends_the_search_which_can_be_resumed(place):
    """On a real small disk, in a mount namespace of its own."""
    tune = " ".join(place.command())
    script = SMALL_DISK.format(
        search=f"{tune} search tiny.yaml",
        options=" ".join(place.long),
        resume=f"{tune} resume full",
    )
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare here")
    done = subprocess.run(
        [unshare, "--mount", *user, "sh", "-c", script],
        cwd=place.root, env=place.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if not (place.root / "kept").exists():
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")

    output = (place.root / "full.txt").read_text()
    assert (place.root / "full.status").read_text() == "2\n", output
    assert "Traceback" not in output
    assert "the search ended, as results cannot be written: [Errno 28] No space left" in output
    assert f"go on with: {place.suggested('resume', 'full')}" in output
    assert ".tmp" not in (place.root / "full.files").read_text(), "nothing half-written stays"
    resumed = (place.root / "resumed.txt").read_text()
    assert (place.root / "resumed.status").read_text() == "0\n", resumed
    shutil.copytree(place.root / "kept" / "full", place.folder("full"))
    place.audit("full")


def test_a_folder_that_becomes_read_only_or_vanishes(place):
    # Whose rights are root's writes everywhere, unless it gives that right away.
    weak = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    prefix = weak if os.geteuid() == 0 else ()
    if prefix and shutil.which("setpriv") is None:
        pytest.skip("no setpriv here, and root is refused nothing")
    folder = place.folder("locked")
    process = place.start("search", "tiny.yaml", *place.long, "--name", "locked", prefix=prefix)
    place.wait_for_epochs("locked", 10, process)
    (folder / "checkpoints").chmod(0o500)
    folder.chmod(0o500)
    output = place.finish(process, 2)
    assert "the search ended, as results cannot be written: [Errno 13] Permission denied" in output
    output = place.finish(place.start("resume", "locked", prefix=prefix), 2)
    assert "/locked" in output
    assert "Permission denied" in output
    folder.chmod(0o700)
    (folder / "checkpoints").chmod(0o700)

    process = place.start("resume", "locked")
    sessions = len(place.events("locked", "session"))
    place.wait_for(lambda: len(place.events("locked", "session")) > sessions, process)
    folder.rename(place.root / "elsewhere")
    output = place.finish(process, 2)
    assert "the search ended, as results cannot be written: [Errno 2]" in output
    assert not folder.exists(), "a folder that is gone is not made anew"
    (place.root / "elsewhere").rename(folder)

    place.run("resume", "locked")
    assert [row["status"] for row in place.rows("locked")] == ["completed"] * 3
    place.audit("locked")
