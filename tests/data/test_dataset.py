import dataclasses
import json
import os
import pickle
import shutil
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handsigns.data import dataset as opening
from handsigns.data.dataset import open_data
from handsigns.data.splits import DataInfo
from handsigns.errors import DataError


def message_of(source, **options):
    with pytest.raises(DataError) as caught:
        open_data(source, size=8, **options)
    return str(caught.value)


def png_header(width, height):
    """A PNG that claims a size and has nothing more; refusing must not take decoding."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = (
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_the_courses_layout(signs_folder):
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
    assert np.array_equal(data.train.images[7], pixels), "a picture of the right size stays exact"
    assert data.train.labels[7] == int(Path(data.train.names[7]).name[0])


def test_a_raw_course_folder_without_val(signs_folder):
    shutil.rmtree(signs_folder / "val_signs")
    data = open_data(signs_folder, size=8)
    assert data.info.counts == {"train": (4,) * 6, "val": (1,) * 6, "test": (2,) * 6}
    assert data.info.notes == (
        "no val folder: 6 of 30 training pictures, stratified by class and drawn with seed 230, "
        "are the val split",
    )


def test_class_folders_with_missing_splits(class_folder):
    data = open_data(class_folder, size=8)
    assert data.info.classes == ("cat", "dog")
    assert data.info.counts == {"train": (6, 6), "val": (2, 2), "test": (2, 2)}
    assert [note.split(":")[0] for note in data.info.notes] == ["no test folder", "no val folder"]
    names = {*data.train.names, *data.val.names, *data.open_test().names}
    assert len(names) == 20


def test_class_folders_without_splits_and_any_names(tmp_path, picture):
    for label in ("thumb up", "Ünïcode ☂", "10", "9", "(a) b"):
        for i in range(6):
            picture(tmp_path / "any" / label / f"x {i}.{'JPEG' if i % 2 else 'webp'}")
    (tmp_path / "any" / ".git").mkdir()
    (tmp_path / "any" / "9" / "notes.txt").write_text("ignored")
    (tmp_path / "any" / "9" / ".hidden.jpg").write_text("ignored")
    data = open_data(tmp_path / "any", size=8)
    assert data.info.classes == ("9", "10", "(a) b", "thumb up", "Ünïcode ☂")
    assert sum(sum(counts) for counts in data.info.counts.values()) == 30


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_the_val_folder_by_any_of_its_names(class_folder, picture, name):
    for label in ("cat", "dog"):
        picture(class_folder / name / label / "v.bmp")
    assert open_data(class_folder, size=8).info.counts["val"] == (1, 1)


def test_all_bad_files_are_listed_with_their_reasons(signs_folder, picture, tmp_path):
    train = signs_folder / "train_signs"
    whole = picture(tmp_path / "large.jpg", size=(64, 64)).read_bytes()
    (train / "0_torn.jpg").write_bytes(whole[: len(whole) // 2])
    (train / "1_empty.jpg").write_bytes(b"")
    (train / "2_text.jpg").write_text("not a picture")
    (train / "7_far.jpg").write_bytes(whole)
    (train / "x_IMG.jpg").write_bytes(whole)
    (train / "3_gone.jpg").symlink_to("nowhere.jpg")
    outside = picture(tmp_path / "elsewhere" / "o.jpg")
    (train / "4_out.jpg").symlink_to(outside)
    text = message_of(signs_folder)
    wrong_name = "its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg"
    for line in (
        "has 7 files that cannot be used:",
        "train_signs/0_torn.jpg: truncated: ",
        "train_signs/1_empty.jpg: empty: 0 bytes",
        "train_signs/2_text.jpg: not an image",
        "train_signs/7_far.jpg: label 7 is outside 0 to 5",
        f"train_signs/x_IMG.jpg: {wrong_name}",
        "train_signs/3_gone.jpg: unreadable: No such file or directory",
        "train_signs/4_out.jpg: a link that leads out of the data folder",
        "mend or remove them, or go on without them: --skip-bad",
    ):
        assert line in text, text
    data = open_data(signs_folder, size=8, skip_bad=True)
    assert data.info.counts["train"] == (5,) * 6
    assert data.info.notes[0] == (
        "7 bad files were skipped: "
        "train_signs/4_out.jpg (a link that leads out of the data folder), "
        "train_signs/7_far.jpg (label 7 is outside 0 to 5), "
        f"train_signs/x_IMG.jpg ({wrong_name}), …"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(signs_folder):
    (signs_folder / "train_signs" / "0_IMG_train0.jpg").chmod(0)
    assert "unreadable: Permission denied" in message_of(signs_folder)


def test_absurdly_large_pictures(signs_folder, monkeypatch):
    bomb = signs_folder / "train_signs" / "0_bomb.png"
    bomb.write_bytes(png_header(11_000, 10_000))
    assert "train_signs/0_bomb.png: absurdly large: 110 megapixels" in message_of(signs_folder)
    bomb.write_bytes(png_header(30_000, 30_000))
    text = message_of(signs_folder)
    assert "0_bomb.png: absurdly large: 900 megapixels to decode, where 100 are allowed" in text
    assert "allow more (HANDSIGNS_MAX_MEGAPIXELS=900)" in text
    monkeypatch.setattr("handsigns.data.images.LARGEST_BYTES", 1000)
    bomb.write_bytes(b"x" * 1001)
    assert "train_signs/0_bomb.png: absurdly large: 0 MiB" in message_of(signs_folder)


def test_a_label_outside_the_classes_of_train(class_folder, picture):
    picture(class_folder / "test" / "cow" / "1.png")
    picture(class_folder / "test" / "cat" / "1.png")
    picture(class_folder / "test" / "dog" / "1.png")
    assert "test/cow/1.png: its class cow is not among those in train" in message_of(class_folder)


def test_a_long_list_is_cut(signs_folder):
    for i in range(60):
        (signs_folder / "train_signs" / f"0_{i:02}.jpg").write_bytes(b"")
    text = message_of(signs_folder)
    assert "has 60 files that cannot be used" in text
    assert "… and 10 more" in text


def test_a_class_missing_from_a_split(signs_folder):
    for path in (signs_folder / "val_signs").glob("3_*"):
        path.unlink()
    assert "the val split has no picture of class 3; put some there" in message_of(signs_folder)


def test_an_empty_split(signs_folder):
    for path in (signs_folder / "test_signs").iterdir():
        path.unlink()
    assert "the test split is empty; put some there, or move the folder away" in message_of(
        signs_folder
    )


def test_one_class_is_not_enough(tmp_path, picture):
    for i in range(5):
        picture(tmp_path / "d" / "train" / "cat" / f"{i}.png")
    text = message_of(tmp_path / "d")
    assert "only 1 class (cat), but telling apart needs two or more" in text


def test_no_folder_a_file_and_no_known_layout(tmp_path):
    assert "no folder" in message_of(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert "is a file; name the folder that holds it" in message_of(tmp_path / "file")
    (tmp_path / "odd" / "stuff").mkdir(parents=True)
    text = message_of(tmp_path / "odd")
    assert "no pictures in a known layout (found: stuff)" in text
    assert "train/<class>/picture.jpg" in text
    assert "cannot be read" in message_of(Path("\0")) or "no folder" in message_of(Path("\0"))


def test_images_shared_by_splits_are_noted_with_their_count(signs_folder):
    for i in (0, 1):
        shutil.copy(
            signs_folder / "train_signs" / f"1_IMG_train{i}.jpg",
            signs_folder / "test_signs" / f"1_copy{i}.jpg",
        )
    (note,) = open_data(signs_folder, size=8).info.notes
    assert note.startswith(
        "2 of the 14 test pictures are in train (30) too, for example test_signs/1_copy0.jpg"
    )


def test_only_copies_across_splits_count(signs_folder):
    original = signs_folder / "train_signs" / "1_IMG_train0.jpg"
    shutil.copy(original, signs_folder / "train_signs" / "1_within.jpg")
    assert open_data(signs_folder, size=8).info.notes == ()
    for name in ("1_a.jpg", "1_b.jpg"):
        shutil.copy(original, signs_folder / "val_signs" / name)
    (note,) = open_data(signs_folder, size=8).info.notes
    assert note.startswith("2 of the 14 val pictures are in train (31) too")


def test_one_skipped_file_is_told_in_the_singular(signs_folder):
    (signs_folder / "val_signs" / "0_empty.jpg").write_bytes(b"")
    (note,) = open_data(signs_folder, size=8, skip_bad=True).info.notes
    assert note == "1 bad file was skipped: val_signs/0_empty.jpg (empty: 0 bytes)"


def test_a_class_of_which_every_picture_is_bad(signs_folder):
    for path in (signs_folder / "train_signs").glob("3_*"):
        path.write_bytes(b"")
    text = message_of(signs_folder, skip_bad=True)
    assert "the train split has no picture of class 3" in text


def test_too_few_pictures_to_carve_from(tmp_path, picture):
    for label in ("cat", "dog"):
        for i in range(2):
            picture(tmp_path / "few" / label / f"{i}.png")
    assert (
        "val split is empty; there are too few to carve one out of train: give each"
        in message_of(tmp_path / "few")
    )


def test_names_cannot_reach_the_terminal_as_commands(signs_folder):
    (signs_folder / "train_signs" / "0_\x1b[31mred\n.jpg").write_bytes(b"")
    text = message_of(signs_folder)
    assert r"0_\x1b[31mred\n.jpg: empty: 0 bytes" in text
    assert "\x1b" not in text


def test_decoded_once_per_content(signs_folder, monkeypatch, tmp_path):
    before = open_data(signs_folder, size=8)

    def refuse(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(opening, "decode", refuse)
    after = open_data(signs_folder, size=8)
    assert after.info == before.info
    assert np.array_equal(after.train.images, before.train.images)
    shutil.copytree(signs_folder, tmp_path / "copy")
    copy = open_data(tmp_path / "copy", size=8)
    assert copy.info.fingerprint == before.info.fingerprint
    assert copy.info.source == str(tmp_path / "copy")


def test_packed_pictures_cannot_be_written_to(signs_folder):
    data = open_data(signs_folder, size=8)
    with pytest.raises(ValueError, match="read-only"):
        data.train.images[0] = 0


def test_the_fingerprint_is_of_the_content(signs_folder, tmp_path):
    first = open_data(signs_folder, size=8).info.fingerprint
    assert open_data(signs_folder, size=9).info.fingerprint != first
    old = signs_folder / "train_signs" / "0_IMG_train0.jpg"
    old.rename(signs_folder / "train_signs" / "0_renamed.jpg")
    assert open_data(signs_folder, size=8).info.fingerprint == first
    (signs_folder / "train_signs" / "0_renamed.jpg").rename(
        signs_folder / "train_signs" / "1_other_label.jpg"
    )
    assert open_data(signs_folder, size=8).info.fingerprint != first


@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "info"])
def test_a_damaged_pack_is_made_anew(signs_folder, cache, damage):
    before = open_data(signs_folder, size=8)
    pixels = before.val.images.copy()  # the original is mapped from the file about to be damaged
    (folder,) = cache.iterdir()
    victim = folder / ("info.json" if damage == "info" else "val_images.npy")
    content = victim.read_bytes()
    if damage == "remove":
        victim.unlink()
    elif damage == "flip":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        victim.write_bytes(content[:-20])
    after = open_data(signs_folder, size=8)
    assert after.info == before.info
    assert np.array_equal(after.val.images, pixels)
    assert (folder / "val_images.npy").exists()


def test_a_pickle_in_the_cache_is_not_loaded(signs_folder, cache):
    open_data(signs_folder, size=8)
    (folder,) = cache.iterdir()
    np.save(folder / "val_images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert open_data(signs_folder, size=8).val.images.dtype == np.uint8


def test_without_a_cache_it_works_and_says_so(signs_folder, cache):
    cache.write_text("in the way")
    data = open_data(signs_folder, size=8)
    assert len(data.open_test()) == 12
    assert "could not be kept for next time" in data.info.notes[-1]


def test_writers_at_the_same_time(signs_folder, cache):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(open_data(signs_folder, size=8).info))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4
    assert len(list(cache.iterdir())) == 1, "nothing half-made is left"


def test_splits_are_passed_on_without_a_copy(signs_folder, cache):
    """Only a plain array goes out of band, into memory that all trials of a node share."""
    for _ in range(2):  # fresh, then from the cache
        train = open_data(signs_folder, size=8).train
        shared = []
        own = pickle.dumps(train, protocol=5, buffer_callback=shared.append)
        assert sum(buffer.raw().nbytes for buffer in shared) >= train.images.nbytes
        assert len(own) < train.images.nbytes / 2


def test_info_survives_json(signs_folder):
    info = open_data(signs_folder, size=8).info
    assert DataInfo.from_json(json.loads(json.dumps(dataclasses.asdict(info)))) == info


def test_progress_reaches_its_end(signs_folder):
    seen = []
    open_data(signs_folder, size=8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 54) for i in range(1, 55)]


@pytest.mark.photographs
def test_the_real_photographs(signs):
    data = open_data(signs)
    assert [sum(data.info.counts[name]) for name in ("train", "val", "test")] == [691, 173, 216]
    assert data.info.classes == ("0", "1", "2", "3", "4", "5")
    assert data.train.images.shape == (691, 64, 64, 3)
