import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handsigns.data.dataset import open_data
from handsigns.data.layouts import BadFile, list_pictures, natural_key
from handsigns.errors import DataError
from handsigns.io.own_output import make_output_folder

UNLABELLED = "images without labels are for predict"


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("not decoded here")
    return root


def message_of(root):
    with pytest.raises(DataError) as caught:
        list_pictures(Path(root))
    return str(caught.value)


def names(listing):
    return {split: [p.name for p in members] for split, members in listing.pictures.items()}


def test_the_courses_layout_in_the_order_of_names(tmp_path):
    touch(tmp_path, "train_signs/1_b.jpg", "train_signs/0_a (1).JPG", "test_signs/5_ü.jpeg")
    listing = list_pictures(tmp_path)
    assert listing.layout == "signs"
    assert listing.classes == ("0", "1", "2", "3", "4", "5")
    assert names(listing) == {
        "train": ["train_signs/0_a (1).JPG", "train_signs/1_b.jpg"],
        "test": ["test_signs/5_ü.jpeg"],
    }
    assert [p.label for p in listing.pictures["train"]] == ["0", "1"]


def test_capitals_of_folders_do_not_matter(tmp_path):
    touch(tmp_path / "s", "Train_Signs/1_b.jpg", "TEST_SIGNS/1_c.jpg")
    assert list(list_pictures(tmp_path / "s").pictures) == ["train", "test"]
    touch(tmp_path / "c", "Train/a/b.jpg", "Validation/a/b.jpg")
    assert list(list_pictures(tmp_path / "c").pictures) == ["train", "val"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("7_far.jpg", "label 7 is outside 0 to 5"),
        ("-1_IMG.jpg", "its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg"),
        ("x_IMG.jpg", "its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg"),
        ("IMG.jpg", "its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg"),
        ("3.jpg", "its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg"),
        ("3_IMG.HEIC", "HEIC pictures are not read; save it as JPEG or PNG"),
        ("3_IMG.gif", "GIF pictures are not read; save it as JPEG or PNG"),
    ],
)
def test_bad_names_in_the_courses_layout(tmp_path, name, reason):
    touch(tmp_path, "train_signs/0_a.jpg", f"train_signs/{name}")
    listing = list_pictures(tmp_path)
    assert listing.bad == [BadFile(f"train_signs/{name}", reason)]
    assert names(listing) == {"train": ["train_signs/0_a.jpg"]}


def test_what_systems_leave_behind_is_ignored(tmp_path):
    touch(
        tmp_path,
        *("a/1.jpg", "b/1.jpg", "a/.DS_Store", "a/._1.jpg", "a/Thumbs.db", "a/labels.csv"),
        *("__MACOSX/1.jpg", ".git/1.jpg", "README.md", "cover.jpg"),
    )
    listing = list_pictures(tmp_path)
    assert names(listing) == {"train": ["a/1.jpg", "b/1.jpg"]}
    assert listing.bad == []


def test_pictures_beside_the_class_folders_are_told_of(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "train/loose.jpg", "val/a/1.jpg", "val/loose.png")
    assert list_pictures(tmp_path).bad == [
        BadFile("train/loose.jpg", "it is in no class folder", UNLABELLED),
        BadFile("val/loose.png", "it is in no class folder", UNLABELLED),
    ]


def test_a_train_folder_without_class_folders(tmp_path):
    text = message_of(touch(tmp_path, "train/1.jpg", "test/1.jpg"))
    assert "no class folders in train (found: test, train)" in text
    assert "train/<class>/picture.jpg" in text


@pytest.mark.parametrize("folders", [["val_signs", "test_signs"], ["test/a", "val/a"]])
def test_splits_without_train_are_not_taken_for_classes(tmp_path, folders):
    text = message_of(touch(tmp_path, *(f"{folder}/1_x.jpg" for folder in folders)))
    assert "no train folder (found: test" in text


def test_two_folders_for_one_split(tmp_path):
    text = message_of(touch(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"))
    assert "has two val folders, val and valid; keep one of them" in text


def test_an_empty_folder_and_one_of_text(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no pictures in a known layout (found: no folders)" in message_of(tmp_path / "empty")
    touch(tmp_path / "text", "a/1.txt")
    assert "no pictures in a known layout (found: a)" in message_of(tmp_path / "text")


def test_links_may_stay_inside_and_not_lead_out(tmp_path):
    root = touch(tmp_path / "d", "train/a/1.jpg", "train/b/1.jpg")
    touch(tmp_path, "elsewhere/o.jpg")
    (root / "train" / "a" / "in.jpg").symlink_to("1.jpg")
    (root / "train" / "a" / "out.jpg").symlink_to(tmp_path / "elsewhere" / "o.jpg")
    (root / "train" / "c").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "d").symlink_to("b")
    listing = list_pictures(root)
    why = "a link that leads out of the data folder"
    assert [(b.name, b.reason) for b in listing.bad] == [
        ("train/a/out.jpg", why), ("train/c/o.jpg", why)
    ]  # fmt: skip
    expected = ["train/a/1.jpg", "train/a/in.jpg", "train/b/1.jpg", "train/d/1.jpg"]
    assert names(listing) == {"train": expected}


def test_the_data_folder_itself_may_be_a_link(tmp_path):
    touch(tmp_path / "d", "a/1.jpg", "b/1.jpg")
    (tmp_path / "link").symlink_to("d")
    assert list_pictures(tmp_path / "link").bad == []


def test_a_link_to_itself_and_a_pipe_are_bad_files(signs_folder):
    (signs_folder / "train_signs" / "0_loop.jpg").symlink_to("0_loop.jpg")
    os.mkfifo(signs_folder / "train_signs" / "0_pipe.jpg")
    with pytest.raises(DataError) as caught:
        open_data(signs_folder, size=8)
    assert "0_loop.jpg: unreadable: Too many levels of symbolic links" in str(caught.value)
    assert "0_pipe.jpg: not a regular file" in str(caught.value)


def test_names_that_are_not_text(signs_folder, picture):
    odd = os.fsdecode(b"0_\xff\xfe.jpg")
    try:
        picture(signs_folder / "train_signs" / odd)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    for _ in range(2):  # decoded, then from the cache
        assert f"train_signs/{odd}" in open_data(signs_folder, size=8).train.names
    (signs_folder / "train_signs" / odd).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_data(signs_folder, size=8)
    assert r"0_\udcff\udcfe.jpg: empty: 0 bytes" in str(caught.value)


def test_errors_have_no_control_characters_of_folder_names(tmp_path):
    text = message_of(touch(tmp_path / "\x1b[2Jd", "\x1b[31mred/x.txt"))
    assert "\x1b" not in text
    assert r"(found: \x1b[31mred)" in text


def test_natural_order():
    assert sorted(["10", "9", "a10", "a9", "a", "01"], key=natural_key) == [
        *("01", "9", "10", "a", "a9", "a10"),
    ]


SPELLINGS = {
    "train": ["train", "Training", "TRAIN_SET", "train-images", "training data", "Train.Set"],
    "val": ["val", "Valid", "validation", "DEV", "eval", "validation_set", "Val Images"],
    "test": ["test", "Testing", "TEST_DATA", "hold-out", "holdout", "test images"],
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(*(st.sampled_from(names) for names in SPELLINGS.values()), st.data())
def test_splits_are_found_in_every_common_spelling(tmp_path_factory, train, val, test, data):
    root = tmp_path_factory.mktemp("spelt")
    change = data.draw(st.sampled_from([str, str.upper, str.lower, str.title]))
    for name in (train, val, test):
        touch(root, f"{change(name)}/cat/1.jpg", f"{change(name)}/dog/1.jpg")
    listing = list_pictures(root)
    assert list(listing.pictures) == ["train", "val", "test"]
    assert {len(members) for members in listing.pictures.values()} == {2}


def test_images_deeper_in_a_class_folder_are_read(tmp_path):
    touch(tmp_path, "cat/monday/1.jpg", "cat/2.jpg", "dog/a/b/3.jpg")
    assert names(list_pictures(tmp_path)) == {
        "train": ["cat/2.jpg", "cat/monday/1.jpg", "dog/a/b/3.jpg"]
    }


def test_images_that_are_not_read_are_named(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "extra/a/1.jpg", "notes/x.txt", "cover.png")
    assert list_pictures(tmp_path).unread == ("cover.png", "extra/")


@pytest.mark.parametrize("suffix", [".jpe", ".jfif", ".JPG", ".ppm", "", ".bak", ".jpg_large"])
def test_images_are_known_by_content_where_the_suffix_is_odd(tmp_path, picture, suffix):
    for label in "ab":
        image = picture(tmp_path / label / "1.jpg")
        image.rename(image.with_suffix(suffix))
    assert len(list_pictures(tmp_path).pictures["train"]) == 2


@pytest.mark.parametrize("name", ["@eaDir", "desktop.ini", "$RECYCLE.BIN", "#recycle", "Thumbs.db"])
def test_what_a_nas_leaves_behind_is_ignored(tmp_path, name):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", f"{name}/1.jpg")
    assert list_pictures(tmp_path).classes == ("a", "b")


def test_one_class_in_two_encodings_is_one(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Käse") for form in ("NFC", "NFD"))
    touch(tmp_path, f"train/{apart}/1.jpg", "train/Brot/1.jpg", f"test/{composed}/2.jpg")
    listing = list_pictures(tmp_path)
    assert listing.classes == ("Brot", composed)
    assert [p.label for p in listing.pictures["test"]] == [composed]
    assert listing.bad == []


def test_capitals_of_classes_do_not_matter_across_splits(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/Cat/2.jpg", "test/DOG/2.jpg")
    listing = list_pictures(tmp_path)
    assert [p.label for p in listing.pictures["test"]] == ["cat", "dog"]


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, "car/1.jpg", "train/1.jpg", "bus/1.jpg")
    listing = list_pictures(tmp_path)
    assert listing.classes == ("bus", "car", "train")
    assert list(listing.pictures) == ["train"]


def test_class_names_that_are_not_utf8_are_refused(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"M\xfcll")).mkdir()
    except OSError:
        pytest.skip("this file system takes only names that are text")
    touch(tmp_path, os.fsdecode(b"M\xfcll/1.jpg"), "b/1.jpg")
    assert "are not UTF-8, as those of a zip from another system; rename them" in message_of(
        tmp_path
    )


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["images/1.jpg", "labels.csv"], "labels in a table (labels.csv) are not read: sort"),
        (["images/1.jpg"], "the images lie in one folder: sort them into a folder for each class"),
        (["1.jpg", "labels.csv"], "labels in a table (labels.csv) are not read: sort the images"),
        (["1.jpg", "2.jpg"], "the images lie in one folder: sort them into a folder for each"),
        (["train/images/1.jpg", "train/labels/1.txt"], "looks like a set for object detection"),
    ],
)
def test_a_refused_layout_says_what_to_do(tmp_path, files, advice):
    assert advice in message_of(touch(tmp_path, *files))


def test_archives_and_urls_are_refused_with_a_remedy(tmp_path):
    (tmp_path / "p.zip").write_bytes(b"PK")
    assert "p.zip is a file; unpack it, and name the folder" in message_of(tmp_path / "p.zip")
    assert "is a URL; download it" in message_of("https://example.org/photos")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(touch(tmp_path, "d/a/1.jpg", "d/b/1.jpg")))
    assert list_pictures(Path("~/d")).classes == ("a", "b")


def test_our_own_output_is_never_data(tmp_path, picture):
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    for name in ("results", "reports"):
        make_output_folder(tmp_path / name)
        picture(tmp_path / name / "mine" / "wrong" / "00.png")
    listing = list_pictures(tmp_path)
    assert (listing.classes, listing.unread) == (("a", "b"), ())
