import dataclasses
import json
import os
import pickle
import shutil
import struct
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handsigns.data.dataset import open_data
from handsigns.data.splits import DataInfo
from handsigns.errors import DataError
from handsigns.io.output_marker import MARKER


def error_message(source, **options):
    with pytest.raises(DataError) as caught:
        open_data(source, size=8, **options)
    return str(caught.value)


def png_header(width, height):
    """Return a PNG that has a size but no pixels, so that it cannot be decoded."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = (
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_cs230_layout(signs_folder):
    data = open_data(signs_folder, size=8)
    assert data.info.classes == ("0", "1", "2", "3", "4", "5")
    assert data.info.counts == {"train": (5,) * 6, "val": (2,) * 6, "test": (2,) * 6}
    assert data.info.notes == ()
    assert data.train.images.shape == (30, 8, 8, 3)
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64
    assert data.val.names[0] == "val_signs/0_IMG_val0.jpg"
    assert len(data.open_test()) == 12
    pixels = np.asarray(Image.open(signs_folder / data.train.names[7]).convert("RGB"))
    assert np.array_equal(data.train.images[7], pixels), "an image of the right size stays exact"
    assert data.train.labels[7] == int(Path(data.train.names[7]).name[0])


def test_raw_cs230_folder_without_val(signs_folder):
    shutil.rmtree(signs_folder / "val_signs")
    data = open_data(signs_folder, size=8)
    assert data.info.counts == {"train": (4,) * 6, "val": (1,) * 6, "test": (2,) * 6}
    assert data.info.notes == (
        "no val folder: 6 of 30 training images split off as val (stratified by class, seed 230)",
    )


def test_class_folders_with_missing_splits(class_folder):
    data = open_data(class_folder, size=8)
    assert data.info.classes == ("cat", "dog")
    assert data.info.counts == {"train": (6, 6), "val": (2, 2), "test": (2, 2)}
    assert [note.split(":")[0] for note in data.info.notes] == ["no test folder", "no val folder"]
    names = {*data.train.names, *data.val.names, *data.open_test().names}
    assert len(names) == 20


def test_class_folders_without_splits_and_with_odd_names(tmp_path, write_image):
    for label in ("thumb up", "Ünïcode ☂", "10", "9", "(a) b"):
        for i in range(6):
            write_image(tmp_path / "any" / label / f"x {i}.{'JPEG' if i % 2 else 'webp'}")
    (tmp_path / "any" / ".git").mkdir()
    (tmp_path / "any" / "9" / "notes.txt").write_text("ignored")
    (tmp_path / "any" / "9" / ".hidden.jpg").write_text("ignored")
    data = open_data(tmp_path / "any", size=8)
    assert data.info.classes == ("9", "10", "(a) b", "thumb up", "Ünïcode ☂")
    assert sum(sum(counts) for counts in data.info.counts.values()) == 30


def test_all_bad_files_are_listed_with_reasons(signs_folder, write_image, tmp_path):
    train = signs_folder / "train_signs"
    content = write_image(tmp_path / "large.jpg", size=(64, 64)).read_bytes()
    (train / "0_truncated.jpg").write_bytes(content[: len(content) // 2])
    (train / "1_empty.jpg").write_bytes(b"")
    (train / "2_text.jpg").write_text("plain text")
    (train / "7_far.jpg").write_bytes(content)
    (train / "x_IMG.jpg").write_bytes(content)
    (train / "3_dangling.jpg").symlink_to("nowhere.jpg")
    outside = write_image(tmp_path / "elsewhere" / "o.jpg")
    (train / "4_out.jpg").symlink_to(outside)
    text = error_message(signs_folder)
    wrong_name = "file name does not start with a label 0 to 5 and _, as 3_IMG_5864.jpg"
    for line in (
        "has 7 unusable files:",
        "train_signs/0_truncated.jpg: truncated: ",
        "train_signs/1_empty.jpg: empty: 0 bytes",
        "train_signs/2_text.jpg: not an image",
        "train_signs/7_far.jpg: label 7 is outside 0 to 5",
        f"train_signs/x_IMG.jpg: {wrong_name}",
        "train_signs/3_dangling.jpg: unreadable: No such file or directory",
        "train_signs/4_out.jpg: symbolic link to a file outside the data folder",
        "fix or remove them, or skip them with --skip-bad",
    ):
        assert line in text, text
    data = open_data(signs_folder, size=8, skip_bad=True)
    assert data.info.counts["train"] == (5,) * 6
    assert data.info.notes[0] == (
        "7 bad files were skipped: "
        "train_signs/4_out.jpg (symbolic link to a file outside the data folder), "
        "train_signs/7_far.jpg (label 7 is outside 0 to 5), "
        f"train_signs/x_IMG.jpg ({wrong_name}), …"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_unreadable_file_is_reported(signs_folder):
    (signs_folder / "train_signs" / "0_IMG_train0.jpg").chmod(0)
    assert "unreadable: Permission denied" in error_message(signs_folder)


def test_too_large_images_are_rejected(signs_folder, monkeypatch):
    bomb = signs_folder / "train_signs" / "0_bomb.png"
    bomb.write_bytes(png_header(11_000, 10_000))
    assert "train_signs/0_bomb.png: too large: 110 megapixels" in error_message(signs_folder)
    bomb.write_bytes(png_header(30_000, 30_000))
    text = error_message(signs_folder)
    assert "0_bomb.png: too large: 900 megapixels to decode, limit 100" in text
    assert "raise the limit (HANDSIGNS_MAX_MEGAPIXELS=900)" in text
    monkeypatch.setattr("handsigns.data.image_files.MAX_FILE_BYTES", 1000)
    bomb.write_bytes(b"x" * 1001)
    assert "train_signs/0_bomb.png: too large: 0 MiB" in error_message(signs_folder)


def test_class_missing_from_train_is_rejected(class_folder, write_image):
    write_image(class_folder / "test" / "cow" / "1.png")
    write_image(class_folder / "test" / "cat" / "1.png")
    write_image(class_folder / "test" / "dog" / "1.png")
    assert "test/cow/1.png: class cow does not occur in train" in error_message(class_folder)


def test_long_list_of_bad_files_is_truncated(signs_folder):
    for i in range(60):
        (signs_folder / "train_signs" / f"0_{i:02}.jpg").write_bytes(b"")
    text = error_message(signs_folder)
    assert "has 60 unusable files" in text
    assert "… and 10 more" in text


def test_class_missing_from_a_split_is_rejected(signs_folder):
    for path in (signs_folder / "val_signs").glob("3_*"):
        path.unlink()
    assert "the val split has no images of class 3; add some" in error_message(signs_folder)


def test_empty_split_is_rejected(signs_folder):
    for path in (signs_folder / "test_signs").iterdir():
        path.unlink()
    assert "the test split is empty; add some, or leave out the split" in error_message(
        signs_folder
    )


def test_single_class_is_rejected(tmp_path, write_image):
    for i in range(5):
        write_image(tmp_path / "d" / "train" / "cat" / f"{i}.png")
    text = error_message(tmp_path / "d")
    assert "only 1 class (cat); classification needs at least two" in text


def test_missing_folder_file_and_unsupported_layout_are_rejected(tmp_path):
    assert "nowhere does not exist" in error_message(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert "is a file; pass the folder that contains it" in error_message(tmp_path / "file")
    (tmp_path / "odd" / "stuff").mkdir(parents=True)
    text = error_message(tmp_path / "odd")
    assert "no images in a supported layout (found: stuff)" in text
    assert "train/<class>/image.jpg" in text
    text = error_message(Path("\0"))
    assert "cannot be read" in text or "does not exist" in text


def test_images_shared_by_splits_are_counted_in_a_note(signs_folder):
    for i in (0, 1):
        shutil.copy(
            signs_folder / "train_signs" / f"1_IMG_train{i}.jpg",
            signs_folder / "test_signs" / f"1_copy{i}.jpg",
        )
    (note,) = open_data(signs_folder, size=8).info.notes
    assert note.startswith(
        "2 of 14 test images have near-duplicates in train or val (42 images; 2 identical), for "
        "example test_signs/1_copy0.jpg"
    )


def test_duplicates_within_a_split_are_not_noted(signs_folder):
    original = signs_folder / "train_signs" / "1_IMG_train0.jpg"
    shutil.copy(original, signs_folder / "train_signs" / "1_within.jpg")
    assert open_data(signs_folder, size=8).info.notes == ()
    for name in ("1_a.jpg", "1_b.jpg"):
        shutil.copy(original, signs_folder / "val_signs" / name)
    (note,) = open_data(signs_folder, size=8).info.notes
    assert note.startswith("2 of 14 val images have near-duplicates in train (31 images; 2 ident")


def test_note_on_one_skipped_file(signs_folder):
    (signs_folder / "val_signs" / "0_empty.jpg").write_bytes(b"")
    (note,) = open_data(signs_folder, size=8, skip_bad=True).info.notes
    assert note == "1 bad file was skipped: val_signs/0_empty.jpg (empty: 0 bytes)"


def test_class_with_only_bad_images_is_rejected(signs_folder):
    for path in (signs_folder / "train_signs").glob("3_*"):
        path.write_bytes(b"")
    text = error_message(signs_folder, skip_bad=True)
    assert "the train split has no images of class 3" in text


def test_too_few_images_to_split_off(tmp_path, write_image):
    for label in ("cat", "dog"):
        for i in range(2):
            write_image(tmp_path / "small" / label / f"{i}.png")
    assert (
        "val split is empty; train has too few images to split one off: give each"
        in error_message(tmp_path / "small")
    )


def test_errors_escape_control_characters_in_file_names(signs_folder):
    (signs_folder / "train_signs" / "0_\x1b[31mred\n.jpg").write_bytes(b"")
    text = error_message(signs_folder)
    assert r"0_\x1b[31mred\n.jpg: empty: 0 bytes" in text
    assert "\x1b" not in text


def test_images_are_decoded_once_per_content(signs_folder, monkeypatch, tmp_path):
    before = open_data(signs_folder, size=8)

    def refuse(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("handsigns.data.dataset.decode_with_info", refuse)
    after = open_data(signs_folder, size=8)
    assert after.info == before.info
    assert np.array_equal(after.train.images, before.train.images)
    shutil.copytree(signs_folder, tmp_path / "copy")
    copy = open_data(tmp_path / "copy", size=8)
    assert copy.info.fingerprint == before.info.fingerprint
    assert copy.info.source == str(tmp_path / "copy")


def test_first_frames_are_noted_once(signs_folder):
    frames = [Image.new("L", (8, 8), level) for level in (10, 200)]
    for number in range(3):
        path = signs_folder / "train_signs" / f"0_{number}.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    for _ in range(2):  # decoded, then from the cache
        (note,) = open_data(signs_folder, size=8).info.notes
        assert note == (
            "3 of 57 images: only the first frame of an animation, or page of a document, is used "
            "(for example train_signs/0_0.gif)"
        )


def test_skipped_heic_is_read_once_its_decoder_is_installed(signs_folder, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    heic = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (200, 0, 0)))
    heic.save(signs_folder / "train_signs" / "0_IMG.HEIC")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "train_signs/0_IMG.HEIC: HEIC needs pillow-heif: pip install 'handsigns[heif]'" in (
        error_message(signs_folder)
    )
    assert len(open_data(signs_folder, size=8, skip_bad=True).train) == 30
    monkeypatch.undo()
    assert len(open_data(signs_folder, size=8, skip_bad=True).train) == 31


def test_skipped_images_are_decoded_once_the_limit_is_raised(signs_folder, monkeypatch):
    monkeypatch.setenv("HANDSIGNS_MAX_MEGAPIXELS", "0.0001")
    write_large = Image.new("RGB", (60, 60))
    write_large.save(signs_folder / "train_signs" / "0_IMG_large.png")
    before = len(open_data(signs_folder, size=8, skip_bad=True).train)
    monkeypatch.delenv("HANDSIGNS_MAX_MEGAPIXELS")
    assert len(open_data(signs_folder, size=8, skip_bad=True).train) == before + 1


def test_cached_images_are_read_only(signs_folder):
    data = open_data(signs_folder, size=8)
    for array in (data.train.images, data.train.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_fingerprint_depends_on_content_alone(signs_folder, tmp_path):
    first = open_data(signs_folder, size=8).info.fingerprint
    assert open_data(signs_folder, size=9).info.fingerprint != first
    old = signs_folder / "train_signs" / "0_IMG_train0.jpg"
    old.rename(signs_folder / "train_signs" / "0_renamed.jpg")
    assert open_data(signs_folder, size=8).info.fingerprint == first
    (signs_folder / "train_signs" / "0_renamed.jpg").rename(
        signs_folder / "train_signs" / "1_other_label.jpg"
    )
    assert open_data(signs_folder, size=8).info.fingerprint != first


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "info"])
def test_damaged_cache_entry_is_rebuilt(signs_folder, cache, damage):
    before = open_data(signs_folder, size=8)
    pixels = before.val.images.copy()  # the original is memory-mapped from the damaged file
    (folder,) = cache.glob("[!.]*")
    file = folder / ("info.json" if damage == "info" else "val_images.npy")
    content = file.read_bytes()
    if damage == "remove":
        file.unlink()
    elif damage == "flip":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        file.write_bytes(content[:-20])
    after = open_data(signs_folder, size=8)
    assert after.info == before.info
    assert np.array_equal(after.val.images, pixels)
    assert (folder / "val_images.npy").exists()


def test_pickle_in_the_cache_is_not_loaded(signs_folder, cache):
    open_data(signs_folder, size=8)
    (folder,) = cache.glob("[!.]*")
    np.save(folder / "val_images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert open_data(signs_folder, size=8).val.images.dtype == np.uint8


def test_unwritable_cache_gives_a_note(signs_folder, cache):
    cache.write_text("in the way")
    data = open_data(signs_folder, size=8)
    assert len(data.open_test()) == 12
    assert "could not be cached" in data.info.notes[-1]


def test_concurrent_cache_writers(signs_folder, cache):
    infos = []
    threads = [
        threading.Thread(target=lambda: infos.append(open_data(signs_folder, size=8).info))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert infos == [infos[0]] * 4
    assert len({p.name for p in cache.iterdir()} - {MARKER}) == 1, "no partial entries are left"


def test_splits_are_pickled_without_a_copy(signs_folder, cache):
    """Only plain arrays are pickled out of band, into memory that all trials of a node share."""
    for _ in range(2):  # decoded, then from the cache
        train = open_data(signs_folder, size=8).train
        buffers = []
        in_band = pickle.dumps(train, protocol=5, buffer_callback=buffers.append)
        assert sum(buffer.raw().nbytes for buffer in buffers) >= train.images.nbytes
        assert len(in_band) < train.images.nbytes / 2


def test_data_info_json_round_trip(signs_folder):
    info = open_data(signs_folder, size=8).info
    assert DataInfo.from_json(json.loads(json.dumps(dataclasses.asdict(info)))) == info


def test_progress_reaches_the_total(signs_folder):
    seen = []
    open_data(signs_folder, size=8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 54) for i in range(1, 55)]


@pytest.mark.photographs
def test_real_photographs(signs):
    data = open_data(signs)
    assert [sum(data.info.counts[name]) for name in ("train", "val", "test")] == [691, 173, 216]
    assert data.info.classes == ("0", "1", "2", "3", "4", "5")
    assert data.train.images.shape == (691, 64, 64, 3)
