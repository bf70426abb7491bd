import gzip
import io
import os
import shutil
import stat
import tarfile
import threading
import zipfile
from functools import partial
from pathlib import Path

import pytest

from handsigns.data import archives
from handsigns.data.dataset import open_data
from handsigns.data.layouts import list_images
from handsigns.data.prepare import prepare
from handsigns.errors import DataError
from handsigns.io.output_marker import make_output_folder


def pack(folder, archive, *, base=None):
    """Pack a folder in a format given by the archive's suffix; return the archive."""
    name, _, kind = archive.name.partition(".")
    formats = {"zip": "zip", "tar": "tar", "tar.gz": "gztar", "tar.bz2": "bztar", "tar.xz": "xztar"}
    made = shutil.make_archive(str(archive.parent / name), formats[kind], folder, base)
    assert made == str(archive)
    return archive


def zip_of(archive, files):
    """Write a zip of contents by name."""
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive


def error_message(archive):
    with pytest.raises(DataError) as caught:
        list_images(archive)
    return str(caught.value)


def unpacked(cache):
    """Return the folders of archives in the cache, also partial ones."""
    return [path for path in (cache / "archives").iterdir() if path.is_dir()]


def nothing_is_left(tmp_path, cache):
    """Return whether no file was written outside the cache, and no partial folder in it."""
    names = {path.name for path in tmp_path.iterdir()} - {"cache"}
    return names <= {"a.zip", "a.tar", "a.tar.gz"} and not unpacked(cache)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_every_kind_equals_the_folder(signs_folder, tmp_path, kind):
    archive = pack(signs_folder, tmp_path / f"a.{kind}")
    folder, packed = open_data(signs_folder, size=8), open_data(archive, size=8)
    assert packed.info.fingerprint == folder.info.fingerprint
    assert packed.train.names == folder.train.names
    assert packed.info.source == str(archive)


@pytest.mark.parametrize("layout", ["signs", "splits", "classes", "table"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_layout_is_read_from_an_archive(tmp_path, write_image, layout, wrapped):
    root = tmp_path / "data" / "set"
    pattern = {
        "signs": "{split}_signs/{label}_{i}.png", "splits": "{split}/{label}/{i}.png",
        "classes": "{label}/{split}{i}.png", "table": "images/{label}{split}{i}.png",
    }[layout]  # fmt: skip
    for label in range(6):
        for split in ("train", "test"):
            for i in range(4):
                write_image(root / pattern.format(label=label, split=split, i=i))
    if layout == "table":
        rows = [f"{p.name},{p.name[0]}" for p in (root / "images").iterdir()]
        (root / "labels.csv").write_text("\n".join(["file,label", *rows]))
    folder = open_data(root, size=8)
    archive = pack(tmp_path / "data" if wrapped else root, tmp_path / "a.zip")
    packed = open_data(archive, size=8)
    assert packed.info.fingerprint == folder.info.fingerprint
    assert packed.info.notes == folder.info.notes
    assert packed.val.names == folder.val.names


def test_archive_is_unpacked_once_and_again_when_changed(
    class_folder, tmp_path, cache, write_image
):
    archive = pack(class_folder, tmp_path / "a.tar.gz")
    seen = []
    list_images(archive, lambda done, total: seen.append((done, total)))
    assert seen
    seen.clear()
    list_images(archive, lambda done, total: seen.append((done, total)))
    assert not seen
    write_image(class_folder / "train" / "cat" / "new.png")
    pack(class_folder, archive)
    assert len(list_images(archive).images["train"]) == 21
    assert len(unpacked(cache)) == 1


def test_processes_may_unpack_at_the_same_time(class_folder, tmp_path):
    archive = pack(class_folder, tmp_path / "a.zip")
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(len(list_images(archive).images["train"])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [20] * 4


def test_only_images_and_tables_are_unpacked(class_folder, tmp_path, cache):
    content = (class_folder / "train" / "cat" / "0.png").read_bytes()
    files = {f"train/{label}/{i}.png": content for label in "ab" for i in range(3)}
    others = ["__MACOSX/train/a/._0.png", "train/a/._0.png", "train/a/Thumbs.db", "@eaDir/a/1.png",
              "film.mp4", "code.py", ".git/1.png", "inner.zip"]  # fmt: skip
    archive = zip_of(tmp_path / "a.zip", files | dict.fromkeys(others, b"x"))
    listing = list_images(archive)
    assert [image.name for image in listing.images["train"]] == sorted(files)
    assert (listing.bad, listing.ignored) == ([], ())
    written = {p.name for p in unpacked(cache)[0].rglob("*") if p.is_file()}
    assert written == {"0.png", "1.png", "2.png", ".archive.json"}


def test_hidden_images_of_an_archive_are_listed(tmp_path):
    files = ["cat/1.png", "cat/.0.png", "cat/._1.png", "dog/1.png"]
    archive = zip_of(tmp_path / "a.zip", dict.fromkeys(files, b"x"))
    assert list_images(archive).ignored == ("cat/.0.png (hidden)",)


def test_packed_output_folders_are_never_data(class_folder, tmp_path, write_image):
    make_output_folder(class_folder / "results")
    write_image(class_folder / "results" / "mine" / "00.png")
    archive = pack(class_folder, tmp_path / "a.zip")
    assert list_images(archive).ignored == ()


def test_names_from_macos_are_utf8(class_folder, tmp_path):
    content = (class_folder / "train" / "cat" / "0.png").read_bytes()
    archive = zip_of(tmp_path / "a.zip", {"Käse/1.png": content, "Brot/1.png": content})
    raw = archive.read_bytes()
    with zipfile.ZipFile(archive) as opened:
        assert all(entry.flag_bits & 0x800 for entry in opened.infolist()[:1])
    unflagged = bytearray(raw)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(signature)
        while at >= 0:
            unflagged[at + offset + 1] &= ~0x08
            at = raw.find(signature, at + 1)
    archive.write_bytes(bytes(unflagged))
    assert list_images(archive).classes == ("Brot", "Käse")


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..\\evil.png"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_files_outside_the_archive_are_refused(tmp_path, cache, kind, name):
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        zip_of(archive, {name: b"x"})
    else:
        with tarfile.open(archive, "w") as tar:
            tar.addfile(tarfile.TarInfo(name))
    assert "has a file outside of it" in error_message(archive)
    assert nothing_is_left(tmp_path, cache)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_special_files_are_refused(tmp_path, cache, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        entry = tarfile.TarInfo("a/1.png")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    assert "has a link or special file, a/1.png" in error_message(tmp_path / "a.tar")
    entry = zipfile.ZipInfo("a/1.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(tmp_path / "a.zip", {})
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(entry, "/etc/passwd")
    assert "has a link or special file, a/1.png" in error_message(archive)
    assert nothing_is_left(tmp_path, cache)


def test_files_do_not_follow_a_link_in_the_archive(tmp_path, cache):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("a")  # no image, so it is not created
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        entry = tarfile.TarInfo("a/evil.png")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    error_message(tmp_path / "a.tar")
    assert not (tmp_path / "evil.png").exists()


class Zeros(io.RawIOBase):
    """Stream of zeros."""

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = bytes(len(buffer))
        return len(buffer)


@pytest.mark.parametrize("name", ["a/1.png", "unwanted.mp4"])
def test_bombs_are_refused(tmp_path, cache, monkeypatch, name):
    monkeypatch.setattr("handsigns.data.archives._MIN_LIMIT", 2**20)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 20 * 2**20
        tar.addfile(entry, Zeros())
    assert "unpacks to more than" in error_message(tmp_path / "a.tar.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, bytes(20 * 2**20))
    assert "unpacks to more than" in error_message(tmp_path / "a.zip")
    assert nothing_is_left(tmp_path, cache)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_many_files_and_folders_are_refused(tmp_path, monkeypatch, kind):
    for number in range(11):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
    archive = pack(tmp_path / "many", tmp_path / f"a.{kind}")
    monkeypatch.setattr("handsigns.data.archive_formats._MAX_ENTRIES", 10)
    assert "has more than 10 files and folders" in error_message(archive)


def test_large_images_are_refused(signs_folder, tmp_path, monkeypatch):
    archive = pack(signs_folder, tmp_path / "a.tar")
    monkeypatch.setattr("handsigns.data.archives._MAX_FILE_BYTES", 10)
    assert "has an image of 0 MiB, " in error_message(archive)


def test_long_headers_of_a_tar_are_not_read_into_memory(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**32
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(tarfile.TarInfo("a/1.png").tobuf() + header.tobuf() + bytes(2**16))
    assert "a header has 4294967296 bytes" in error_message(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_damaged_archives_are_refused(signs_folder, tmp_path, cache, kind):
    archive = pack(signs_folder, tmp_path / f"a.{kind}")
    content = archive.read_bytes()
    # A tar has checksums of its headers alone, so one of them is hit.
    middle = content.find(b"test_signs/") if kind == "tar" else len(content) // 2
    flipped = content[:middle] + b"damaged" + content[middle + 7 :]
    for damaged in (content[: len(content) // 2 + 100], flipped, b"PK", b""):
        archive.write_bytes(damaged)
        assert " damaged" in error_message(archive)
        assert not unpacked(cache)


def test_encrypted_and_unknown_archives_need_unpacking(tmp_path, cache):
    archive = zip_of(tmp_path / "a.zip", {"a/1.png": b"x"})
    content = bytearray(archive.read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    archive.write_bytes(bytes(content))
    assert "a.zip is encrypted; unpack it and pass the folder" in error_message(archive)
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    assert "neither a zip nor a tar file; unpack it and pass" in error_message(tmp_path / "a.7z")
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(b"no tar" * 1000)
    assert "neither a zip nor a tar file" in error_message(tmp_path / "a.tar.gz")
    assert error_message(zip_of(archive, {"1.png": b"x"})).count("all images are in one folder")


def test_two_files_of_one_name_are_refused(tmp_path, cache):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a/1.png", "./a//1.png"):
            tar.addfile(tarfile.TarInfo(name))
    assert "has two files called ./a//1.png" in error_message(tmp_path / "a.tar")


def test_unwritable_cache_is_reported(signs_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HANDSIGNS_CACHE", "/proc/nowhere")
    archive = pack(signs_folder, tmp_path / "a.zip")
    assert "cannot be unpacked into the cache" in error_message(archive)


def test_archive_can_be_prepared(class_folder, tmp_path):
    archive = pack(class_folder, tmp_path / "a.zip")
    result = prepare(archive, tmp_path / "small", size=8)
    assert result.counts == {"train": 12, "val": 4, "test": 4}
    assert open_data(tmp_path / "small", size=8).info.classes == ("cat", "dog")


@pytest.mark.parametrize("setting", ["link", "relative", "~/tilde"])
def test_cache_path_may_be_linked_or_relative(class_folder, tmp_path, monkeypatch, setting):
    archive = pack(class_folder, tmp_path / "a.zip")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HANDSIGNS_CACHE", setting)
    listing = list_images(archive)
    assert (len(listing.images["train"]), listing.bad) == (20, [])
    assert (tmp_path / setting.removeprefix("~/") / "archives").is_dir()


def test_cache_in_the_data_folder_is_never_data(class_folder, tmp_path, monkeypatch):
    root = class_folder / "train"
    archive = Path(shutil.make_archive(str(tmp_path / "a"), "zip", root))
    monkeypatch.setenv("HANDSIGNS_CACHE", str(root / "cache"))
    list_images(archive)
    assert list_images(root).classes == ("cat", "dog")
    shutil.rmtree(root / "cache")
    open_data(root, size=8)
    assert list_images(root).classes == ("cat", "dog")


def test_tar_may_end_with_a_zip(class_folder, tmp_path):
    zip_of(class_folder / "train" / "z.zip", {"x/1.png": b"x", "y/1.png": b"x"})
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("cat", "dog", "z.zip"):
            tar.add(class_folder / "train" / name, name)
    assert list_images(tmp_path / "a.tar").classes == ("cat", "dog")


def test_zip_may_list_folders_with_backslashes(tmp_path):
    files = {"cat\\": b"", "cat\\0.png": b"x", "dog\\": b"", "dog\\0.png": b"x"}
    listing = list_images(zip_of(tmp_path / "a.zip", files))
    assert [image.name for image in listing.images["train"]] == ["cat/0.png", "dog/0.png"]


def test_damaged_bzip2_in_a_zip_is_reported(tmp_path, cache):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as opened:
        opened.writestr("cat/0.png", os.urandom(1000))
    content = bytearray(archive.read_bytes())
    at = content.find(b"BZh")
    content[at + 4 : at + 10] = b"damage"
    archive.write_bytes(content)
    assert "a.zip is damaged: Invalid data stream" in error_message(archive)


@pytest.mark.parametrize("change", [Path.unlink, partial(Path.write_bytes, data=b"")])
def test_archive_with_changed_files_is_unpacked_again(class_folder, tmp_path, change):
    archive = pack(class_folder, tmp_path / "a.zip")
    before = list_images(archive)
    change(before.images["train"][3].path)
    assert list_images(archive) == before
    assert open_data(archive, size=8).info.counts["train"] == (6, 6)


def test_files_of_the_operating_system_cause_no_unpacking(class_folder, tmp_path):
    archive = pack(class_folder, tmp_path / "a.zip")
    image = list_images(archive).images["train"][3].path
    (image.parent / ".DS_Store").write_bytes(b"written by a file manager")
    unpacked_at = image.stat().st_ctime_ns
    list_images(archive)
    assert image.stat().st_ctime_ns == unpacked_at


def test_folder_that_another_process_unpacked_stays(class_folder, tmp_path, monkeypatch):
    archive = pack(class_folder, tmp_path / "a.zip")
    unpack_first = [lambda: list_images(archive)]
    is_unpacked = archives._is_unpacked

    def race(*args):
        found = is_unpacked(*args)
        while unpack_first:
            unpack_first.pop()()
        return found

    monkeypatch.setattr(archives, "_is_unpacked", race)
    seen = []
    list_images(archive, lambda done, total: seen.append(done))
    assert not seen
