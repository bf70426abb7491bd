"""A search's folder and its copy: which is ahead, and what is done about it."""

import contextlib
import errno
import json
import os
import shutil
import time

import pytest

from handsigns.errors import ResultsError
from handsigns.io.storage import open_storage
from handsigns.io.throttle import Throttle
from handsigns.results.background_sync import kept_fresh, kept_up
from handsigns.results.paths import SearchPaths
from handsigns.results.store import held, holder
from handsigns.results.sync import Mirror, known_mirror, named_mirror
from handsigns.results.sync_listing import is_copied
from handsigns.workflow.sync import pull, push
from tests.support.s3 import names
from tests.support.workplace import until


def files(paths):
    found = (path for path in paths.root.rglob("*") if path.is_file())
    copied = ((path.relative_to(paths.root).as_posix(), path.read_text()) for path in found)
    return {name: text for name, text in copied if is_copied(name)}


def change(paths, name, text):
    (paths.root / name).parent.mkdir(parents=True, exist_ok=True)
    (paths.root / name).write_text(text)


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return open_storage(str(tmp_path / "shared"))
    return open_storage(request.getfixturevalue("s3")())


@pytest.fixture
def here(tmp_path):
    paths = SearchPaths(tmp_path / "here" / "first")
    change(paths, "study.yaml", "space")
    change(paths, "journal.jsonl", "one\n")
    change(paths, "winner/model.safetensors", "weights")
    change(paths, "checkpoints/0001.safetensors", "large")
    change(paths, ".lock", "process 1")
    return paths


@pytest.fixture
def there(tmp_path):
    return SearchPaths(tmp_path / "there" / "first")


def mirror(paths, place):
    return Mirror(paths, place.under(paths.name))


@contextlib.contextmanager
def elsewhere(monkeypatch):
    """On another machine."""
    with monkeypatch.context() as there:
        there.setattr("socket.gethostname", lambda: "elsewhere")
        yield


def test_a_copy_is_brought_to_another_machine(place, here, there):
    mirror(here, place).push()
    assert mirror(there, place).fetch()
    assert files(there) == files(here)
    assert not (there.root / "checkpoints").exists()
    assert not (there.root / ".lock").exists()
    assert not mirror(there, place).fetch(), "nothing is newer"


def test_changes_go_both_ways(place, here, there):
    mirror(here, place).push()
    mirror(there, place).fetch()
    change(there, "test.json", "0.99")
    (there.root / "winner/model.safetensors").rename(there.root / "winner/older.safetensors")
    mirror(there, place).push()
    assert mirror(here, place).fetch()
    assert files(here) == files(there)
    assert "winner/model.safetensors" not in files(here)
    assert "first/winner/model.safetensors" not in names(place)


def test_only_what_has_changed_is_copied(place, here, monkeypatch):
    copy = mirror(here, place)
    copy.push()
    written = []
    kind = type(place)
    original = kind.write
    monkeypatch.setattr(
        kind, "write", lambda self, name, data: (written.append(name), original(self, name, data))
    )
    copy.push()
    assert written == []
    change(here, "journal.jsonl", "one\ntwo\n")
    copy.push()
    assert written == ["journal.jsonl", "files.json"]


def test_where_both_were_changed_neither_is_lost(place, here, there):
    mirror(here, place).push()
    mirror(there, place).fetch()
    change(there, "journal.jsonl", "one\nthere\n")
    mirror(there, place).push()
    change(here, "journal.jsonl", "one\nhere\n")
    for attempt in (mirror(here, place).fetch, mirror(here, place).push):
        with pytest.raises(ResultsError, match="different states of first"):
            attempt()
    assert (here.root / "journal.jsonl").read_text() == "one\nhere\n"
    assert place.read("first/journal.jsonl") == b"one\nthere\n"


def test_another_search_of_that_name(place, here, there):
    mirror(here, place).push()
    change(there, "study.yaml", "another")
    for attempt in (mirror(there, place).fetch, mirror(there, place).push):
        with pytest.raises(ResultsError, match="different states of first"):
            attempt()
    with pytest.raises(ResultsError, match="exists already; go on with it"):
        mirror(there, place).refuse_taken()


def test_one_machine_runs_it_at_a_time(place, here, there, monkeypatch):
    with kept_up(mirror(here, place), print, print):
        with elsewhere(monkeypatch):
            mirror(there, place).fetch()
            with (
                pytest.raises(ResultsError, match=r"is being run by process \d+ on .* wait for"),
                kept_up(mirror(there, place), print, print),
            ):
                pass
        change(here, "journal.jsonl", "one\ntwo\n")
    with elsewhere(monkeypatch):
        mirror(there, place).fetch()
        with kept_up(mirror(there, place), print, print):
            pass
    assert (there.root / "journal.jsonl").read_text() == "one\ntwo\n"


def test_who_only_reads_a_running_search_writes_nothing(place, here, there, monkeypatch):
    with kept_up(mirror(here, place), print, print):
        running = place.read("first/files.json")
        with elsewhere(monkeypatch):
            mirror(there, place).fetch()
            mirror(there, place).push()
        assert place.read("first/files.json") == running


def test_a_dead_machine_is_waited_for_a_while(place, here, there, monkeypatch):
    mirror(here, place).push(running=True)  # and then its power failed
    with elsewhere(monkeypatch):
        mirror(there, place).fetch()
        with pytest.raises(ResultsError, match="If it is dead, try again in"):
            mirror(there, place).push(running=True)
        monkeypatch.setattr("handsigns.results.sync.LEASE_S", 0.0)
        mirror(there, place).push(running=True)


def push_cut_before_listing(paths, place, monkeypatch):
    write = type(place).write

    def failing(self, name, data):
        if name == "files.json":
            raise OSError(5, "the line is cut", name)
        write(self, name, data)

    with monkeypatch.context() as cut:
        cut.setattr(type(place), "write", failing)
        with pytest.raises(OSError, match="the line is cut"):
            mirror(paths, place).push()


def test_cut_off_before_the_listing_it_goes_on(place, here, monkeypatch):
    mirror(here, place).push()
    change(here, "journal.jsonl", "one\ntwo\n")
    push_cut_before_listing(here, place, monkeypatch)
    assert not mirror(here, place).fetch()
    change(here, "journal.jsonl", "one\ntwo\nthree\n")
    mirror(here, place).push()
    assert place.read("first/journal.jsonl") == b"one\ntwo\nthree\n"


def test_an_interrupted_push_is_completed_by_the_next(place, here, there, monkeypatch):
    mirror(here, place).push()
    change(here, "journal.jsonl", "one\ntwo\n")
    push_cut_before_listing(here, place, monkeypatch)
    mirror(here, place).push()
    mirror(there, place).fetch()
    assert files(there) == files(here)


def test_the_copy_is_kept_up_while_a_search_runs(place, here, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._COPYING", Throttle(0.02))
    lost = []
    with kept_up(mirror(here, place), print, lost.append):
        change(here, "journal.jsonl", "one\ntwo\n")
        until(lambda: place.read("first/journal.jsonl") == b"one\ntwo\n")
        assert json.loads(place.read("first/files.json"))["running"]
    assert not json.loads(place.read("first/files.json"))["running"]
    assert lost == []


def test_a_search_that_another_machine_took_over_ends(place, here, there, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._COPYING", Throttle(0.3))
    lost, said = [], []
    with kept_up(mirror(here, place), said.append, lost.append):
        with elsewhere(monkeypatch), monkeypatch.context() as impatient:
            impatient.setattr("handsigns.results.sync.LEASE_S", 0.0)
            until(lambda: not take_over(there, place) and stands(place))
        change(here, "journal.jsonl", "one\nand more\n")
        until(lambda: lost)
    assert "different states" in lost[0]
    assert "is behind" in said[-1]
    assert place.read("first/journal.jsonl") == b"one\n", "what the other has is left alone"


def take_over(paths, place):
    """Try to run the search elsewhere; returns why that was not possible."""
    try:
        mirror(paths, place).fetch()
        mirror(paths, place).push(running=True)
    except ResultsError as error:
        return str(error)
    return ""


def stands(place):
    """Whether a take-over was not overwritten by who had looked before it and wrote after it."""
    time.sleep(1)
    return json.loads(place.read("first/files.json"))["by"].endswith(" on elsewhere")


def test_another_shell_leaves_the_copy_to_who_runs_the_search(place, here):
    mirror(here, place).push(running=True)
    before = place.read("first/files.json")
    change(here, "journal.jsonl", "one\ntwo\n")
    with held(here):
        push(here)
        assert place.read("first/files.json") == before
    push(here)
    assert place.read("first/journal.jsonl") == b"one\ntwo\n"


def test_a_place_is_remembered_as_it_was_found_here(tmp_path, here, there):
    """By another mount point, say; and whoever writes the listing cannot choose it."""
    (tmp_path / "mnt").mkdir()
    mirror(here, open_storage(str(tmp_path / "mnt"))).push()
    (tmp_path / "mnt").rename(tmp_path / "volumes")
    volumes = str(tmp_path / "volumes")
    for _ in range(2):  # the second time it is known
        pull(there, volumes)
    assert known_mirror(there).place.path == tmp_path / "volumes" / "first"
    with pytest.raises(ResultsError, match=r"is a copy of .*volumes/first, not of .*other/first"):
        pull(there, str(tmp_path / "other"))


def test_a_copy_that_cannot_be_reached_leaves_what_is_here(tmp_path, here, capsys):
    (tmp_path / "mnt").mkdir()
    mirror(here, open_storage(str(tmp_path / "mnt"))).push()
    (tmp_path / "mnt").rename(tmp_path / "unmounted")
    pull(here)
    assert "what is here may be old" in capsys.readouterr().err
    change(here, "journal.jsonl", "one\ntwo\n")
    push(here)
    assert "is behind" in capsys.readouterr().err
    assert not (tmp_path / "mnt").exists()


def test_a_damaged_copy_is_told(place, here, there):
    mirror(here, place).push()
    place.write("first/journal.jsonl", b"other")
    with pytest.raises(ResultsError, match=r"journal\.jsonl is damaged: its digest"):
        mirror(there, place).fetch()
    assert not there.root.exists()
    place.write("first/files.json", b"{")
    with pytest.raises(ResultsError, match=r"files\.json is damaged"):
        mirror(there, place).fetch()


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../evil", ".ssh/evil", "a//b"])
def test_a_listing_leads_nowhere_else(place, here, there, name):
    mirror(here, place).push()
    listing = json.loads(place.read("first/files.json"))
    listing["files"][name] = "0" * 32
    place.write("first/files.json", json.dumps(listing).encode())
    with pytest.raises(ResultsError, match=r"files\.json is damaged: it names"):
        mirror(there, place).fetch()


def test_no_such_search(place, there):
    with pytest.raises(ResultsError, match="there is no search first in"):
        mirror(there, place).fetch()


def test_the_folder_remembers_its_copy(place, here):
    assert known_mirror(here) is None
    mirror(here, place).push()
    copy = known_mirror(here)
    assert copy is not None
    assert copy.place.address == place.under("first").address


def test_results_that_lie_in_the_storage_have_no_copy(tmp_path):
    paths = SearchPaths(tmp_path / "first")
    assert named_mirror(paths, str(tmp_path)) is None
    assert named_mirror(paths, str(tmp_path / "other")) is not None


def test_a_copy_that_is_gone_is_made_anew(tmp_path, here):
    (tmp_path / "shared").mkdir()
    place = open_storage(str(tmp_path / "shared"))
    mirror(here, place).push()
    shutil.rmtree(tmp_path / "shared" / "first")
    change(here, "journal.jsonl", "one\ntwo\n")
    mirror(here, place).push()
    assert place.read("first/journal.jsonl") == b"one\ntwo\n"


def test_a_search_that_another_machine_runs_is_followed(place, here, there, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._COPYING", Throttle(0.2))
    with elsewhere(monkeypatch):
        mirror(here, place).push(running=True)
    mirror(there, place).fetch()
    assert holder(there) == f"process {os.getpid()} on elsewhere"
    said = []
    with kept_fresh(there, said.append):
        change(here, "journal.jsonl", "one\ntwo\n")
        with elsewhere(monkeypatch):
            mirror(here, place).push(running=True)
        until(lambda: there.journal.read_text() == "one\ntwo\n")
        with elsewhere(monkeypatch):
            mirror(here, place).push()
        until(lambda: not holder(there))
    assert said == []


def test_a_long_silent_search_counts_as_not_running(place, here, there, monkeypatch):
    with elsewhere(monkeypatch):
        mirror(here, place).push(running=True)
    mirror(there, place).fetch()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 400)
    assert not holder(there)


def test_who_cannot_be_heard_is_not_silent(place, here, there, monkeypatch):
    monkeypatch.setattr("handsigns.results.background_sync._COPYING", Throttle(0.1))
    with elsewhere(monkeypatch):
        mirror(here, place).push(running=True)
    mirror(there, place).fetch()
    before = there.copied.stat().st_mtime_ns

    def fails(*_):
        raise OSError(errno.EIO, "the line is cut")

    monkeypatch.setattr(Mirror, "fetch", fails)
    said = []
    with kept_fresh(there, said.append):
        until(lambda: there.copied.stat().st_mtime_ns > before)
    (line,) = said
    assert line.startswith("what is shown may be old")
    assert "the line is cut" in line


def test_a_fetch_that_breaks_off_changes_nothing_here(place, here, there, monkeypatch):
    def grow(text):
        change(here, "journal.jsonl", text)
        change(here, "trials.csv", text)
        with elsewhere(monkeypatch):
            mirror(here, place).push(running=True)

    grow("one\n")
    mirror(there, place).fetch()
    grow("one\ntwo\n")
    kind = type(place)
    original = kind.read

    def read(self, name):
        if name == "trials.csv":
            raise OSError(errno.EIO, "the line is cut")
        return original(self, name)

    with monkeypatch.context() as broken:
        broken.setattr(kind, "read", read)
        with pytest.raises(OSError, match="the line is cut"):
            mirror(there, place).fetch()
    assert files(there)["journal.jsonl"] == "one\n"
    grow("one\ntwo\nthree\n")
    assert mirror(there, place).fetch()
    assert files(there) == files(here)


def test_where_nothing_was_changed_nothing_is_in_conflict(place, here, there):
    mirror(here, place).push()
    mirror(there, place).fetch()
    change(here, "journal.jsonl", "one\ntwo\n")
    mirror(here, place).push()
    mirror(there, place).push()
    assert place.read("first/journal.jsonl") == b"one\ntwo\n"
