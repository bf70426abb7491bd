"""Sync of a search's folder with its copy: push, pull, conflicts, leases and failures."""

import contextlib
import errno
import json
import os
import shutil
import time

import pytest

from handsigns.errors import ConfigError, ResultsError
from handsigns.io.storage import open_storage
from handsigns.io.throttle import Throttle
from handsigns.results.background_sync import follow_remote, keep_synced
from handsigns.results.paths import SearchPaths
from handsigns.results.remote_copies import copy_in_storage, recorded_copy
from handsigns.results.search_lock import lock_owner, search_lock
from handsigns.results.sync import RemoteCopy
from handsigns.results.sync_manifest import is_synced
from handsigns.workflow.sync import pull, push
from tests.support.s3 import list_files
from tests.support.workspace import wait_until


def read_synced_files(paths):
    found = (path for path in paths.root.rglob("*") if path.is_file())
    contents = ((path.relative_to(paths.root).as_posix(), path.read_text()) for path in found)
    return {name: text for name, text in contents if is_synced(name)}


def write_file(paths, name, text):
    (paths.root / name).parent.mkdir(parents=True, exist_ok=True)
    (paths.root / name).write_text(text)


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path):
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return open_storage(str(tmp_path / "shared"))
    return open_storage(request.getfixturevalue("s3")())


@pytest.fixture
def paths(tmp_path):
    paths = SearchPaths(tmp_path / "here" / "first")
    write_file(paths, "search.yaml", "space")
    write_file(paths, "journal.jsonl", "one\n")
    write_file(paths, "winner/model.safetensors", "weights")
    write_file(paths, "checkpoints/0001.safetensors", "large")
    write_file(paths, ".lock", "process 1")
    return paths


@pytest.fixture
def other_paths(tmp_path):
    return SearchPaths(tmp_path / "there" / "first")


def remote_copy(paths, storage):
    return RemoteCopy(paths, storage.joinpath(paths.name))


@contextlib.contextmanager
def other_machine(monkeypatch):
    """Pretend to run on another machine."""
    with monkeypatch.context() as context:
        context.setattr("socket.gethostname", lambda: "elsewhere")
        yield


def test_pull_restores_the_folder_on_another_machine(storage, paths, other_paths):
    remote_copy(paths, storage).push()
    assert remote_copy(other_paths, storage).pull()
    assert read_synced_files(other_paths) == read_synced_files(paths)
    assert not (other_paths.root / "checkpoints").exists()
    assert not (other_paths.root / ".lock").exists()
    assert not remote_copy(other_paths, storage).pull(), "nothing is newer"


def test_changes_sync_in_both_directions(storage, paths, other_paths):
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).pull()
    write_file(other_paths, "test.json", "0.99")
    winner = other_paths.root / "winner"
    (winner / "model.safetensors").rename(winner / "older.safetensors")
    remote_copy(other_paths, storage).push()
    assert remote_copy(paths, storage).pull()
    assert read_synced_files(paths) == read_synced_files(other_paths)
    assert "winner/model.safetensors" not in read_synced_files(paths)
    assert "first/winner/model.safetensors" not in list_files(storage)


def test_push_writes_only_changed_files(storage, paths, monkeypatch):
    copy = remote_copy(paths, storage)
    copy.push()
    written = []
    storage_class = type(storage)
    original = storage_class.write

    def write(self, name, data):
        written.append(name)
        original(self, name, data)

    monkeypatch.setattr(storage_class, "write", write)
    copy.push()
    assert written == []
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    copy.push()
    assert written == ["manifest.json", "journal.jsonl", "manifest.json"]


def test_diverged_copies_are_rejected_and_kept(storage, paths, other_paths):
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).pull()
    write_file(other_paths, "journal.jsonl", "one\nthere\n")
    remote_copy(other_paths, storage).push()
    write_file(paths, "journal.jsonl", "one\nhere\n")
    for attempt in (remote_copy(paths, storage).pull, remote_copy(paths, storage).push):
        with pytest.raises(ResultsError, match="have diverged"):
            attempt()
    assert (paths.root / "journal.jsonl").read_text() == "one\nhere\n"
    assert storage.read("first/journal.jsonl") == b"one\nthere\n"


def test_another_search_of_the_same_name_is_rejected(storage, paths, other_paths):
    remote_copy(paths, storage).push()
    write_file(other_paths, "search.yaml", "another")
    for attempt in (remote_copy(other_paths, storage).pull, remote_copy(other_paths, storage).push):
        with pytest.raises(ResultsError, match="have diverged"):
            attempt()
    with pytest.raises(ResultsError, match="already exists; resume it"):
        remote_copy(other_paths, storage).ensure_name_free()


def test_only_one_machine_runs_a_search(storage, paths, other_paths, monkeypatch):
    with keep_synced(remote_copy(paths, storage), print, print):
        with other_machine(monkeypatch):
            remote_copy(other_paths, storage).pull()
            with (
                pytest.raises(ResultsError, match=r"is being run by process \d+ on .* wait for"),
                keep_synced(remote_copy(other_paths, storage), print, print),
            ):
                pass
        write_file(paths, "journal.jsonl", "one\ntwo\n")
    with other_machine(monkeypatch):
        remote_copy(other_paths, storage).pull()
        with keep_synced(remote_copy(other_paths, storage), print, print):
            pass
    assert (other_paths.root / "journal.jsonl").read_text() == "one\ntwo\n"


def test_readers_of_a_running_search_write_nothing(storage, paths, other_paths, monkeypatch):
    with keep_synced(remote_copy(paths, storage), print, print):
        running = storage.read("first/manifest.json")
        with other_machine(monkeypatch):
            remote_copy(other_paths, storage).pull()
            remote_copy(other_paths, storage).push()
        assert storage.read("first/manifest.json") == running


def test_lease_of_a_dead_machine_expires(storage, paths, other_paths, monkeypatch):
    remote_copy(paths, storage).push(running=True)  # then the machine dies
    with other_machine(monkeypatch):
        remote_copy(other_paths, storage).pull()
        with pytest.raises(ResultsError, match="if it is dead, retry in"):
            remote_copy(other_paths, storage).push(running=True)
        monkeypatch.setattr("handsigns.results.sync.LEASE_S", 0.0)
        remote_copy(other_paths, storage).push(running=True)


def push_without_manifest(paths, storage, monkeypatch):
    write = type(storage).write

    def failing(self, name, data):
        if name == "manifest.json" and not json.loads(data)["incomplete"]:
            raise OSError(5, "connection lost", name)
        write(self, name, data)

    with monkeypatch.context() as context:
        context.setattr(type(storage), "write", failing)
        with pytest.raises(OSError, match="connection lost"):
            remote_copy(paths, storage).push()


def test_push_continues_after_a_failure_before_the_manifest(storage, paths, monkeypatch):
    remote_copy(paths, storage).push()
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    push_without_manifest(paths, storage, monkeypatch)
    assert not remote_copy(paths, storage).pull()
    write_file(paths, "journal.jsonl", "one\ntwo\nthree\n")
    remote_copy(paths, storage).push()
    assert storage.read("first/journal.jsonl") == b"one\ntwo\nthree\n"


def test_interrupted_push_is_completed_by_the_next(storage, paths, other_paths, monkeypatch):
    remote_copy(paths, storage).push()
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    push_without_manifest(paths, storage, monkeypatch)
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).pull()
    assert read_synced_files(other_paths) == read_synced_files(paths)


def test_copy_of_an_interrupted_push_can_be_pulled(storage, paths, other_paths, monkeypatch):
    write_file(paths, "winner/test.json", "0.98")
    remote_copy(paths, storage).push()
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    (paths.root / "winner" / "test.json").unlink()
    push_without_manifest(paths, storage, monkeypatch)
    remote_copy(other_paths, storage).pull()
    pulled = read_synced_files(other_paths)
    assert pulled["journal.jsonl"] == "one\ntwo\n"
    assert pulled["winner/test.json"] == "0.98", "files are removed once the push is complete"


def test_files_of_an_interrupted_push_are_replaced(storage, paths, other_paths, monkeypatch):
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).pull()
    expected = read_synced_files(other_paths) | {"report.md": "new"}
    write_file(paths, "journal.jsonl", "one\nhere\n")
    push_without_manifest(paths, storage, monkeypatch)
    write_file(other_paths, "report.md", "new")
    remote_copy(other_paths, storage).push()
    shutil.rmtree(paths.root)
    remote_copy(paths, storage).pull()
    assert read_synced_files(paths) == expected


def test_interrupted_push_is_not_overwritten_by_another(storage, paths, other_paths, monkeypatch):
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).pull()
    write_file(paths, "journal.jsonl", "one\nhere\n")
    write_file(paths, "winner/test.json", "0.98")
    push_without_manifest(paths, storage, monkeypatch)
    write_file(other_paths, "journal.jsonl", "one\nthere\n")
    remote_copy(other_paths, storage).push()
    before = read_synced_files(paths)
    for attempt in (remote_copy(paths, storage).pull, remote_copy(paths, storage).push):
        with pytest.raises(ResultsError, match="have diverged"):
            attempt()
    assert read_synced_files(paths) == before


def test_copy_is_synced_while_a_search_runs(storage, paths, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._SYNC_THROTTLE", Throttle(0.02))
    lost = []
    with keep_synced(remote_copy(paths, storage), print, lost.append):
        write_file(paths, "journal.jsonl", "one\ntwo\n")
        wait_until(lambda: storage.read("first/journal.jsonl") == b"one\ntwo\n")
        assert json.loads(storage.read("first/manifest.json"))["running"]
    assert not json.loads(storage.read("first/manifest.json"))["running"]
    assert lost == []


def test_search_aborts_when_another_machine_takes_over(storage, paths, other_paths, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._SYNC_THROTTLE", Throttle(0.3))
    lost, notes = [], []
    with keep_synced(remote_copy(paths, storage), notes.append, lost.append):
        with other_machine(monkeypatch), monkeypatch.context() as context:
            context.setattr("handsigns.results.sync.LEASE_S", 0.0)
            wait_until(lambda: not take_over(other_paths, storage) and take_over_persists(storage))
        write_file(paths, "journal.jsonl", "one\nand more\n")
        wait_until(lambda: lost)
    assert "have diverged" in lost[0]
    assert "is out of date" in notes[-1]
    assert storage.read("first/journal.jsonl") == b"one\n", (
        "the other machine's journal is untouched"
    )


def take_over(paths, storage):
    """Try to take the search over; return the error message, empty on success."""
    try:
        remote_copy(paths, storage).pull()
        remote_copy(paths, storage).push(running=True)
    except ResultsError as error:
        return str(error)
    return ""


def take_over_persists(storage):
    """Return whether no concurrent push of the other machine has overwritten the take-over."""
    time.sleep(1)
    return json.loads(storage.read("first/manifest.json"))["written_by"].endswith(" on elsewhere")


def test_only_the_lock_owner_pushes_a_running_search(storage, paths):
    remote_copy(paths, storage).push(running=True)
    before = storage.read("first/manifest.json")
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    with search_lock(paths):
        push(paths)
        assert storage.read("first/manifest.json") == before
    push(paths)
    assert storage.read("first/journal.jsonl") == b"one\ntwo\n"


def test_remembered_storage_is_the_local_path(tmp_path, paths, other_paths):
    """Mount points may differ by machine, and the manifest's author must not choose the path."""
    (tmp_path / "mnt").mkdir()
    remote_copy(paths, open_storage(str(tmp_path / "mnt"))).push()
    (tmp_path / "mnt").rename(tmp_path / "volumes")
    volumes = str(tmp_path / "volumes")
    for _ in range(2):  # the second time it is remembered
        pull(other_paths, volumes)
    assert recorded_copy(other_paths).storage.path == tmp_path / "volumes" / "first"
    with pytest.raises(ResultsError, match=r"is a copy of .*volumes/first, not of .*other/first"):
        pull(other_paths, str(tmp_path / "other"))


def test_unreachable_copy_leaves_the_folder_usable(tmp_path, paths, capsys):
    (tmp_path / "mnt").mkdir()
    remote_copy(paths, open_storage(str(tmp_path / "mnt"))).push()
    (tmp_path / "mnt").rename(tmp_path / "unmounted")
    pull(paths)
    assert "the local copy may be out of date" in capsys.readouterr().err
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    push(paths)
    assert "is behind" in capsys.readouterr().err
    assert not (tmp_path / "mnt").exists()


def test_damaged_copy_is_an_error(storage, paths, other_paths):
    remote_copy(paths, storage).push()
    storage.write("first/journal.jsonl", b"other")
    with pytest.raises(ResultsError, match=r"journal\.jsonl is damaged: digest mismatch"):
        remote_copy(other_paths, storage).pull()
    assert not other_paths.root.exists()
    storage.write("first/manifest.json", b"{")
    with pytest.raises(ResultsError, match=r"manifest\.json is damaged"):
        remote_copy(other_paths, storage).pull()


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../evil", ".ssh/evil", "a//b"])
def test_manifest_names_cannot_leave_the_folder(storage, paths, other_paths, name):
    remote_copy(paths, storage).push()
    manifest = json.loads(storage.read("first/manifest.json"))
    manifest["files"][name] = "0" * 32
    storage.write("first/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(ResultsError, match=r"manifest\.json is damaged: it lists"):
        remote_copy(other_paths, storage).pull()


def test_pull_of_a_missing_search_is_an_error(storage, other_paths):
    with pytest.raises(ResultsError, match="no search named first in"):
        remote_copy(other_paths, storage).pull()


def test_folder_remembers_its_copy(storage, paths):
    assert recorded_copy(paths) is None
    remote_copy(paths, storage).push()
    copy = recorded_copy(paths)
    assert copy is not None
    assert copy.storage.uri == storage.joinpath("first").uri


def test_results_folder_inside_the_storage_has_no_copy(tmp_path):
    paths = SearchPaths(tmp_path / "first")
    assert copy_in_storage(paths, str(tmp_path)) is None
    assert copy_in_storage(paths, str(tmp_path / "other")) is not None


@pytest.mark.parametrize("inside", [".", "backup"])
def test_storage_inside_the_folder_of_the_search_is_refused(paths, inside):
    with pytest.raises(ConfigError, match=r"is in the search's own folder .* choose a folder outs"):
        copy_in_storage(paths, str(paths.root / inside))


def test_deleted_copy_is_recreated(tmp_path, paths):
    (tmp_path / "shared").mkdir()
    storage = open_storage(str(tmp_path / "shared"))
    remote_copy(paths, storage).push()
    shutil.rmtree(tmp_path / "shared" / "first")
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    remote_copy(paths, storage).push()
    assert storage.read("first/journal.jsonl") == b"one\ntwo\n"


def test_follow_remote_pulls_a_search_running_elsewhere(storage, paths, other_paths, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._SYNC_THROTTLE", Throttle(0.2))
    with other_machine(monkeypatch):
        remote_copy(paths, storage).push(running=True)
    remote_copy(other_paths, storage).pull()
    assert lock_owner(other_paths) == f"process {os.getpid()} on elsewhere"
    notes = []
    with follow_remote(other_paths, notes.append):
        write_file(paths, "journal.jsonl", "one\ntwo\n")
        with other_machine(monkeypatch):
            remote_copy(paths, storage).push(running=True)
        wait_until(lambda: other_paths.journal.read_text() == "one\ntwo\n")
        with other_machine(monkeypatch):
            remote_copy(paths, storage).push()
        wait_until(lambda: not lock_owner(other_paths))
    assert notes == []


def test_expired_lease_counts_as_not_running(storage, paths, other_paths, monkeypatch):
    with other_machine(monkeypatch):
        remote_copy(paths, storage).push(running=True)
    remote_copy(other_paths, storage).pull()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 400)
    assert not lock_owner(other_paths)


def test_unreachable_storage_does_not_expire_the_lease(storage, paths, other_paths, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._SYNC_THROTTLE", Throttle(0.1))
    with other_machine(monkeypatch):
        remote_copy(paths, storage).push(running=True)
    remote_copy(other_paths, storage).pull()
    before = other_paths.sync_state.stat().st_mtime_ns

    def fail(*_):
        raise OSError(errno.EIO, "connection lost")

    monkeypatch.setattr(RemoteCopy, "pull", fail)
    notes = []
    with follow_remote(other_paths, notes.append):
        wait_until(lambda: other_paths.sync_state.stat().st_mtime_ns > before)
    (note,) = notes
    assert note.startswith("the display may be out of date")
    assert "connection lost" in note


def test_interrupted_pull_changes_nothing(storage, paths, other_paths, monkeypatch):
    def grow(text):
        write_file(paths, "journal.jsonl", text)
        write_file(paths, "trials.csv", text)
        with other_machine(monkeypatch):
            remote_copy(paths, storage).push(running=True)

    grow("one\n")
    remote_copy(other_paths, storage).pull()
    grow("one\ntwo\n")
    storage_class = type(storage)
    original = storage_class.read

    def read(self, name):
        if name == "trials.csv":
            raise OSError(errno.EIO, "connection lost")
        return original(self, name)

    with monkeypatch.context() as context:
        context.setattr(storage_class, "read", read)
        with pytest.raises(OSError, match="connection lost"):
            remote_copy(other_paths, storage).pull()
    assert read_synced_files(other_paths)["journal.jsonl"] == "one\n"
    grow("one\ntwo\nthree\n")
    assert remote_copy(other_paths, storage).pull()
    assert read_synced_files(other_paths) == read_synced_files(paths)


def test_push_without_local_changes_never_conflicts(storage, paths, other_paths):
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).pull()
    write_file(paths, "journal.jsonl", "one\ntwo\n")
    remote_copy(paths, storage).push()
    remote_copy(other_paths, storage).push()
    assert storage.read("first/journal.jsonl") == b"one\ntwo\n"
