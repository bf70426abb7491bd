import dataclasses
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from handsigns.data.dataset import open_data
from handsigns.data.layouts import list_images, natural_sort_key
from handsigns.data.listing import BadFile
from handsigns.errors import DataError
from handsigns.io.json_file import write_json
from handsigns.io.output_marker import make_output_folder

UNLABELLED = "classify unlabelled images with predict"


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("not decoded here")
    return root


def error_message(root):
    with pytest.raises(DataError) as caught:
        list_images(Path(root))
    return str(caught.value)


def names(listing):
    return {split: [p.name for p in members] for split, members in listing.images.items()}


def test_cs230_layout_is_listed_in_name_order(tmp_path):
    touch(tmp_path, "train_signs/1_b.jpg", "train_signs/0_a (1).JPG", "test_signs/5_ü.jpeg")
    listing = list_images(tmp_path)
    assert listing.layout == "signs"
    assert listing.classes == ("0", "1", "2", "3", "4", "5")
    assert names(listing) == {
        "train": ["train_signs/0_a (1).JPG", "train_signs/1_b.jpg"],
        "test": ["test_signs/5_ü.jpeg"],
    }
    assert [p.label for p in listing.images["train"]] == ["0", "1"]


def test_split_folder_names_are_case_insensitive(tmp_path):
    touch(tmp_path / "s", "Train_Signs/1_b.jpg", "TEST_SIGNS/1_c.jpg")
    assert list(list_images(tmp_path / "s").images) == ["train", "test"]
    touch(tmp_path / "c", "Train/a/b.jpg", "Validation/a/b.jpg")
    assert list(list_images(tmp_path / "c").images) == ["train", "val"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("7_far.jpg", "label 7 is outside 0 to 5"),
        ("-1_IMG.jpg", "file name does not start with a label 0 to 5 and _, as 3_IMG_5864.jpg"),
        ("x_IMG.jpg", "file name does not start with a label 0 to 5 and _, as 3_IMG_5864.jpg"),
        ("IMG.jpg", "file name does not start with a label 0 to 5 and _, as 3_IMG_5864.jpg"),
        ("3.jpg", "file name does not start with a label 0 to 5 and _, as 3_IMG_5864.jpg"),
        ("3_IMG.JXL", "JXL images are not supported; save it as JPEG or PNG"),
    ],
)
def test_bad_file_names_in_the_cs230_layout(tmp_path, name, reason):
    touch(tmp_path, "train_signs/0_a.jpg", f"train_signs/{name}")
    listing = list_images(tmp_path)
    assert listing.bad == [BadFile(f"train_signs/{name}", reason)]
    assert names(listing) == {"train": ["train_signs/0_a.jpg"]}


def test_system_files_are_ignored(tmp_path):
    touch(
        tmp_path,
        *("a/1.jpg", "b/1.jpg", "a/.DS_Store", "a/._1.jpg", "a/Thumbs.db", "a/labels.csv"),
        *("__MACOSX/1.jpg", ".git/1.jpg", "README.md", "cover.jpg"),
    )
    listing = list_images(tmp_path)
    assert names(listing) == {"train": ["a/1.jpg", "b/1.jpg"]}
    assert listing.bad == []


def test_images_outside_class_folders_are_reported(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "train/loose.jpg", "val/a/1.jpg", "val/loose.png")
    assert list_images(tmp_path).bad == [
        BadFile("train/loose.jpg", "not in a class folder", UNLABELLED),
        BadFile("val/loose.png", "not in a class folder", UNLABELLED),
    ]


def test_train_folder_without_class_folders_is_rejected(tmp_path):
    text = error_message(touch(tmp_path, "train/1.jpg", "test/1.jpg"))
    assert "no class folders in train (found: test, train)" in text
    assert "train/<class>/image.jpg" in text


@pytest.mark.parametrize("folders", [["val_signs", "test_signs"], ["test/a", "val/a"]])
def test_splits_without_train_are_not_read_as_classes(tmp_path, folders):
    text = error_message(touch(tmp_path, *(f"{folder}/1_x.jpg" for folder in folders)))
    assert "no train folder (found: test" in text


def test_two_folders_for_one_split_are_rejected(tmp_path):
    text = error_message(touch(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"))
    assert "has two val folders, val and valid; keep one of them" in text


def test_folders_without_images_are_rejected(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no images in a supported layout (found: no folders)" in error_message(
        tmp_path / "empty"
    )
    touch(tmp_path / "text", "a/1.txt")
    assert "no images in a supported layout (found: a)" in error_message(tmp_path / "text")


def test_only_symlinks_within_the_data_folder_are_followed(tmp_path):
    root = touch(tmp_path / "d", "train/a/1.jpg", "train/b/1.jpg")
    touch(tmp_path, "elsewhere/o.jpg")
    (root / "train" / "a" / "in.jpg").symlink_to("1.jpg")
    (root / "train" / "a" / "out.jpg").symlink_to(tmp_path / "elsewhere" / "o.jpg")
    (root / "train" / "c").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "d").symlink_to("b")
    listing = list_images(root)
    reason = "symbolic link to a file outside the data folder"
    assert [(b.name, b.reason) for b in listing.bad] == [
        ("train/a/out.jpg", reason), ("train/c/o.jpg", reason)
    ]  # fmt: skip
    expected = ["train/a/1.jpg", "train/a/in.jpg", "train/b/1.jpg", "train/d/1.jpg"]
    assert names(listing) == {"train": expected}


def test_data_folder_may_be_a_symlink(tmp_path):
    touch(tmp_path / "d", "a/1.jpg", "b/1.jpg")
    (tmp_path / "link").symlink_to("d")
    assert list_images(tmp_path / "link").bad == []


def test_self_referencing_symlinks_and_pipes_are_bad_files(signs_folder):
    (signs_folder / "train_signs" / "0_loop.jpg").symlink_to("0_loop.jpg")
    os.mkfifo(signs_folder / "train_signs" / "0_pipe.jpg")
    with pytest.raises(DataError) as caught:
        open_data(signs_folder, size=8)
    assert "0_loop.jpg: unreadable: Too many levels of symbolic links" in str(caught.value)
    assert "0_pipe.jpg: not a regular file" in str(caught.value)


def test_undecodable_file_names_are_supported(signs_folder, write_image):
    name = os.fsdecode(b"0_\xff\xfe.jpg")
    try:
        write_image(signs_folder / "train_signs" / name)
    except OSError:
        pytest.skip("this file system accepts only UTF-8 names")
    for _ in range(2):  # decoded, then from the cache
        assert f"train_signs/{name}" in open_data(signs_folder, size=8).train.names
    (signs_folder / "train_signs" / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_data(signs_folder, size=8)
    assert r"0_\udcff\udcfe.jpg: empty: 0 bytes" in str(caught.value)


def test_undecodable_names_can_be_stored_with_a_check(class_folder, tmp_path):
    """All images are of one colour, so that the check names them."""
    for path in list((class_folder / "train").rglob("*.png")):
        Image.new("RGB", (9, 9)).save(path)
        path.rename(path.with_name(os.fsdecode(b"\xff") + path.name))
    check = open_data(class_folder, size=8).check
    write_json(tmp_path / "check.json", dataclasses.asdict(check))
    assert r"\udcff" in str([finding.examples for finding in check.findings])


def test_undecodable_paths_of_data_are_refused(class_folder):
    moved = class_folder.rename(class_folder.with_name(os.fsdecode(b"\xff")))
    with pytest.raises(DataError, match=r"udcff: the path is not UTF-8; rename it"):
        open_data(moved, size=8)


def test_errors_escape_control_characters_in_folder_names(tmp_path):
    text = error_message(touch(tmp_path / "\x1b[2Jd", "\x1b[31mred/x.txt"))
    assert "\x1b" not in text
    assert r"(found: \x1b[31mred)" in text


def test_natural_sort_order():
    assert sorted(["10", "9", "a10", "a9", "a", "01"], key=natural_sort_key) == [
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
    listing = list_images(root)
    assert list(listing.images) == ["train", "val", "test"]
    assert {len(members) for members in listing.images.values()} == {2}


def test_class_folders_are_searched_recursively(tmp_path):
    touch(tmp_path, "cat/monday/1.jpg", "cat/2.jpg", "dog/a/b/3.jpg")
    assert names(list_images(tmp_path)) == {
        "train": ["cat/2.jpg", "cat/monday/1.jpg", "dog/a/b/3.jpg"]
    }


def test_ignored_images_are_listed(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "extra/a/1.jpg", "notes/x.txt", "cover.png")
    assert list_images(tmp_path).ignored == ("cover.png", "extra/")


@pytest.mark.parametrize("split", ["", "train/"])
def test_hidden_images_and_links_to_folders_are_listed(tmp_path, split):
    touch(tmp_path, "x/1.jpg", f"d/{split}cat/1.jpg", f"d/{split}cat/.0.png", f"d/{split}dog/1.jpg")
    touch(tmp_path / "d", f"{split}.1.jpg", "cat/._1.jpg", "cat/.DS_Store", ".git/1.jpg")
    (tmp_path / "d" / split / "cat" / "more").symlink_to(tmp_path / "x")
    listing = list_images(tmp_path / "d")
    assert (listing.ignored, listing.bad) == (
        (f"{split}.1.jpg (hidden)", f"{split}cat/.0.png (hidden)", f"{split}cat/more/ (link)"), []
    )  # fmt: skip


def test_folders_in_the_cs230_layout_are_listed(tmp_path):
    touch(tmp_path, "train_signs/0_a.jpg", "train_signs/more/1_b.jpg", "train_signs/.2_c.jpg")
    assert list_images(tmp_path).ignored == ("train_signs/.2_c.jpg (hidden)", "train_signs/more/")


@pytest.mark.parametrize("suffix", [".jpe", ".jfif", ".JPG", ".ppm", "", ".bak", ".jpg_large"])
def test_images_with_unknown_suffix_are_detected_by_content(tmp_path, write_image, suffix):
    for label in "ab":
        image = write_image(tmp_path / label / "1.jpg")
        image.rename(image.with_suffix(suffix))
    assert len(list_images(tmp_path).images["train"]) == 2


@pytest.mark.parametrize(
    ("brands", "count"), [(b"3gp4\0\0\0\0isom", 2), (b"MiHE\0\0\0\0mif1", 3), (b"avif\0\0\0\0", 3)]
)
def test_photographs_and_videos_are_told_apart_by_brand(tmp_path, brands, count):
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a" / "clip.x").write_bytes(bytes([0, 0, 0, 8 + len(brands)]) + b"ftyp" + brands)
    assert len(list_images(tmp_path).images["train"]) == count


@pytest.mark.parametrize(
    "name", ["@eaDir", "desktop.ini", "$RECYCLE.BIN", "#recycle", "Thumbs.db", "#snapshot"]
)
def test_nas_and_recycle_bin_files_are_ignored(tmp_path, name):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", f"{name}/1.jpg")
    assert list_images(tmp_path).classes == ("a", "b")


def test_unicode_normal_forms_of_a_class_name_are_equal(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Käse") for form in ("NFC", "NFD"))
    touch(tmp_path, f"train/{decomposed}/1.jpg", "train/Brot/1.jpg", f"test/{composed}/2.jpg")
    listing = list_images(tmp_path)
    assert listing.classes == ("Brot", composed)
    assert [p.label for p in listing.images["test"]] == [composed]
    assert listing.bad == []


def test_class_names_match_case_insensitively_across_splits(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/Cat/2.jpg", "test/DOG/2.jpg")
    listing = list_images(tmp_path)
    assert [p.label for p in listing.images["test"]] == ["cat", "dog"]


def test_class_may_be_called_train(tmp_path):
    touch(tmp_path, "car/1.jpg", "train/1.jpg", "bus/1.jpg")
    listing = list_images(tmp_path)
    assert listing.classes == ("bus", "car", "train")
    assert list(listing.images) == ["train"]


def test_class_names_that_are_not_utf8_are_rejected(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"M\xfcll")).mkdir()
    except OSError:
        pytest.skip("this file system accepts only UTF-8 names")
    touch(tmp_path, os.fsdecode(b"M\xfcll/1.jpg"), "b/1.jpg")
    text = error_message(tmp_path)
    assert "class folder names are not UTF-8: M" in text
    assert "rename them, or unpack the archive with its encoding" in text


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["images/1.jpg", "train.csv"], "is train.csv the table of the labels? Name it labels.csv"),
        (["images/1.jpg"], "all images are in one folder: sort them into one folder per class"),
        (["1.jpg", "2.jpg"], "sort them into one folder per class, or add a labels.csv"),
        (["train/images/1.jpg", "train/labels/1.txt"], "looks like an object-detection data set"),
    ],
)
def test_unsupported_layout_is_rejected_with_a_remedy(tmp_path, files, advice):
    assert advice in error_message(touch(tmp_path, *files))


def test_urls_are_rejected_with_a_remedy():
    url = "https://example.org/photos"
    assert f"{url} is a URL; download it, then pass the" in error_message(url)


def test_tilde_expands_to_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(touch(tmp_path, "d/a/1.jpg", "d/b/1.jpg")))
    assert list_images(Path("~/d")).classes == ("a", "b")


def test_output_folders_are_never_data(tmp_path, write_image):
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    for name in ("results", "reports"):
        make_output_folder(tmp_path / name)
        write_image(tmp_path / name / "mine" / "misclassified" / "00.png")
    listing = list_images(tmp_path)
    assert (listing.classes, listing.ignored) == (("a", "b"), ())
