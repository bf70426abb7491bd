import os

import pytest

from handsigns.data.dataset import open_data
from handsigns.data.layouts import BadFile, list_pictures, natural_key
from handsigns.errors import DataError

UNLABELLED = "images without labels are for predict"


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("not decoded here")
    return root


def message_of(root):
    with pytest.raises(DataError) as caught:
        list_pictures(root)
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
