"""Groups named by the user are kept together by every split."""

import shutil
from pathlib import Path

import pytest

from handsigns.data.dataset import open_data
from handsigns.errors import DataError


@pytest.fixture
def people(tmp_path, write_image):
    """Class folders with a folder per person: 8 people, 2 images of each in both classes."""
    root = tmp_path / "people"
    for person in range(8):
        for label in ("cat", "dog"):
            for i in range(2):
                write_image(root / label / f"p{person}" / f"p{person}_{label}{i}.png")
    return root


def split_people(data):
    return [{n.split("/")[1] for n in s.names} for s in (data.train, data.val, data.open_test())]


def write_table(root, rows):
    (root / "groups.csv").write_text("\n".join(["image,group", *rows]) + "\n")


@pytest.mark.parametrize("group_by", ["folder", r"^(p\d)_", r"p\d", "groups.csv"])
def test_no_person_is_in_two_splits(people, group_by):
    images = sorted(p.relative_to(people) for p in people.rglob("*.png"))
    write_table(people, [f"{path.as_posix()},{path.parts[1]}" for path in images])
    data = open_data(people, size=16, group_by=group_by)
    train, val, test = split_people(data)
    assert not train & val
    assert not train & test
    assert not val & test
    assert "groups kept together" in data.info.notes[0]
    assert data.info.groups == (len(train | val),) * 2
    assert data.info.fingerprint != open_data(people, size=16).info.fingerprint


def test_folders_of_one_name_are_a_group_across_given_splits(people, tmp_path):
    root = tmp_path / "given"
    for split, person in (("train", 0), ("train", 1), ("val", 2), ("test", 1)):
        for label in ("cat", "dog"):
            folder = root / split / label / f"p{person}"
            shutil.copytree(people / label / f"p{person}", folder)
            for path in folder.iterdir():
                path.rename(folder / f"{split}_{path.name}")
    notes = open_data(root, size=16, group_by="folder").info.notes
    assert [note.split(",")[0] for note in notes] == [
        "4 of 4 test images have near-duplicates or others of their group in train or val (12 "
        "images; 4 identical)"
    ]


def test_an_archive_may_hold_the_table_of_groups(people, tmp_path):
    write_table(people, ["cat/p0/p0_cat0.png,a", "dog/p0/p0_dog0.png,a"])
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "people")
    notes = open_data(Path(archive), size=16, group_by="groups.csv").info.notes
    assert any(note.startswith("30 images in no named group") for note in notes)


def test_the_table_may_lie_beside_the_folder_of_images(people, tmp_path):
    shutil.copytree(people, tmp_path / "top" / "photos")
    write_table(tmp_path / "top", ["cat/p0/p0_cat0.png,a", "dog/p0/p0_dog0.png,a"])
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "top")
    for source in (tmp_path / "top", Path(archive)):
        notes = open_data(source, size=16, group_by="groups.csv").info.notes
        assert any(note.startswith("30 images in no named group") for note in notes)


def test_empty_matches_are_no_group(people):
    notes = open_data(people, size=16, group_by=r"^p([0-3]?)").info.notes
    assert any(note.startswith("16 images in no named group") for note in notes)


def test_images_without_a_group_are_named(people):
    write_table(people, ["cat/p0/p0_cat0.png,a", "dog/p0/p0_dog0.png,a"])
    notes = open_data(people, size=16, group_by="groups.csv").info.notes
    assert any(note.startswith("30 images in no named group: cat/p0/p0_cat1.png") for note in notes)


def test_spaces_in_the_table_are_passed_over(people):
    (people / "groups.csv").write_text(" Image; group \n cat/p0/p0_cat0.png ; a\n")
    notes = open_data(people, size=16, group_by="groups.csv").info.notes
    assert any(note.startswith("31 images in no named group") for note in notes)


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("(", r"neither folder, nor a CSV file, nor a regular expression"),
        ("x{3}", r"matches no file name, such as cat/p0/p0_cat0.png"),
        ("missing.csv", r"missing.csv cannot be read"),
        ("wrong.csv", r"needs two columns with the header image,group"),
        ("twice.csv", r"gives cat/p0/p0_cat0.png different groups in lines 2 and 4; keep one"),
        ("other.csv", r"names 1 image that are not there, such as cat/none.png"),
    ],
)
def test_unusable_groups_are_explained(people, group_by, message):
    (people / "wrong.csv").write_text("file,person\na,b\n")
    image = "cat/p0/p0_cat0.png"
    (people / "twice.csv").write_text(f"image;group\n{image};a\n{image};a\n{image};b\n")
    (people / "other.csv").write_text("image,group\ncat/none.png,b\n")
    with pytest.raises(DataError, match=message):
        open_data(people, size=16, group_by=group_by)


def test_folders_need_a_level_below_the_classes(class_folder, signs_folder):
    for folder in (class_folder, signs_folder):
        with pytest.raises(DataError, match="no image lies in a folder below its class folder"):
            open_data(folder, size=8, group_by="folder")


def test_a_class_in_too_few_groups_cannot_be_split_off(people):
    with pytest.raises(DataError, match="in different groups"):
        open_data(people, size=16, group_by="cat|dog")


def test_synthetic_hands_have_no_named_groups():
    with pytest.raises(DataError, match="group_by applies to a folder of images"):
        open_data(None, size=16, group_by="folder")


def test_a_table_may_compose_letters_otherwise_than_file_names(people):
    """macOS decomposes them."""
    for i in range(2):
        path = people / "cat" / "p0" / f"p0_cat{i}.png"
        path.rename(path.with_name(f"e\u0301{i}.png"))
    write_table(people, [f"cat/p0/\u00e9{i}.png,a" for i in range(2)])
    notes = open_data(people, size=16, group_by="groups.csv").info.notes
    assert any(note.startswith("30 images in no named group") for note in notes)
