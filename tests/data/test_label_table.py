import os
import shutil
import subprocess
import sys

import pytest

from handsigns.data.dataset import open_data
from handsigns.data.layouts import list_images
from handsigns.data.prepare import prepare
from handsigns.errors import DataError


@pytest.fixture
def folder(tmp_path, write_image):
    """Ten images, 0.png to 9.png."""
    for i in range(10):
        write_image(tmp_path / "pets" / f"{i}.png")
    return tmp_path / "pets"


def write_table(folder, *lines, **options):
    (folder / "labels.csv").write_text("\n".join(lines), **options)
    return folder


def complete(folder, header="file,label", row="{}.png,{}"):
    """Label even images cat, odd ones dog."""
    return write_table(folder, header, *(row.format(i, ("cat", "dog")[i % 2]) for i in range(10)))


def error_message(folder):
    with pytest.raises(DataError) as caught:
        list_images(folder)
    return str(caught.value)


def labels(listing):
    return {image.name: image.label for image in listing.images["train"]}


EXPECTED = {f"{i}.png": ("cat", "dog")[i % 2] for i in range(10)}


def test_missing_splits_are_split_off_as_elsewhere(folder, tmp_path, write_image):
    data = open_data(complete(folder), size=8)
    assert data.info.classes == ("cat", "dog")
    assert data.info.counts == {"train": (3, 3), "val": (1, 1), "test": (1, 1)}
    assert len(data.info.notes) == 2
    assert all("training images split off" in note for note in data.info.notes)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("file,label", "{}.png,{}"),
        ("\ufeffFile Name;Class", "{}.png;{}"),
        ("image_id\tlabel", "{}\t{}"),
        ("number,category,filename", "1,{1},.\\{0}.PNG"),
        ('"path","label"', '"./{}.png"," {} "'),
    ],
)
def test_common_columns_delimiters_and_names_are_read(folder, header, row):
    listing = list_images(complete(folder, header, row))
    assert labels(listing) == EXPECTED
    assert (listing.bad, listing.ignored) == ([], ())


def test_split_column_is_used(folder):
    rows = [f"{i}.png,{'ab'[i % 2]},{s}" for i, s in enumerate(["training"] * 4 + ["Valid"] * 4)]
    listing = list_images(write_table(folder, "file,label,split", *rows))
    assert {split: len(images) for split, images in listing.images.items()} == {
        "train": 4, "val": 4,
    }  # fmt: skip
    assert listing.ignored == ("8.png", "9.png")
    rows = [row.replace("training", "unused") for row in rows]
    assert "no image has the split train" in error_message(
        write_table(folder, "file,label,split", *rows)
    )


def test_split_folders_are_used_without_a_split_column(tmp_path, write_image):
    for i in range(4):
        write_image(tmp_path / "d" / ("train", "test")[i // 2] / f"{i}.png")
    write_table(tmp_path / "d", "file,label", "0,a", "1,b", "test/2.png,a", "3.png,b")
    listing = list_images(tmp_path / "d")
    assert {split: [i.label for i in images] for split, images in listing.images.items()} == {
        "train": ["a", "b"], "test": ["a", "b"],
    }  # fmt: skip


def test_images_may_be_in_subfolders(tmp_path, write_image):
    for name in ("images/1.png", "images/2.jpg", "images/deep/3.png"):
        write_image(tmp_path / "d" / name)
    write_table(tmp_path / "d", "file,label", "1.png,a", "2,b", "Deep/3.png,a", "images/deep/3,a")
    listing = list_images(tmp_path / "d")
    assert labels(listing) == {"images/1.png": "a", "images/2.jpg": "b", "images/deep/3.png": "a"}
    assert listing.bad == []


def test_unusable_rows_are_bad_files(folder, write_image):
    write_image(folder / "sub" / "2.jpg")
    write_image(folder / "sub" / "x.jpg")
    write_image(folder / "sub" / "deep" / "x.jpg")
    write_table(
        folder,
        *(
            "file,label,split",
            "0.png,a,train",
            "1.png,b,train",
            "0.png,a,train",
            "gone.png,a,train",
        ),
        *("2.png,a,train", "2.png,b,train", "3.png,,train", "4.png,a,later", "5.png,a,"),
        *("x.jpg,a,train", ",a,train", "../0.png,a,train", "", "/etc/passwd,a,train", "6.png"),
    )
    listing = list_images(folder)
    assert labels(listing) == {"0.png": "a", "1.png": "b"}
    assert {bad.name: bad.reason for bad in listing.bad} == {
        "gone.png": "named in labels.csv, but not in the folder",
        "../0.png": "named in labels.csv, but not in the folder",
        "/etc/passwd": "named in labels.csv, but not in the folder",
        "2.png": "lines 6 and 7 of labels.csv differ in its label or split",
        "3.png": "no label in line 8 of labels.csv",
        "4.png": "split later in line 9 of labels.csv is none of train, val and test",
        "5.png": "split missing in line 10 of labels.csv is none of train, val and test",
        "6.png": "no label in line 16 of labels.csv",
        "x.jpg": "sub/x.jpg and sub/deep/x.jpg have this name; give the path in labels.csv",
        "line 12 of labels.csv": "no file name",
    }


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path, write_image):
    write_image(tmp_path / "outside.png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    write_table(folder, "file,label", "0.png,a", "1.png,b", "link.png,a")
    (bad,) = list_images(folder).bad
    assert (bad.name, bad.reason) == (
        "link.png", "symbolic link to a file outside the data folder",
    )  # fmt: skip


def test_linked_folders_are_mentioned_where_images_are_missing(folder, tmp_path):
    complete(folder, row="images/{}.png,{}")
    (tmp_path / "elsewhere").mkdir()
    for path in folder.glob("*.png"):
        path.rename(tmp_path / "elsewhere" / path.name)
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert "linked folders are not read: images/ (link)" in error_message(folder)
    shutil.copy(tmp_path / "elsewhere" / "0.png", folder)
    write_table(folder, "file,label", "0.png,cat", "images/1.png,dog")
    listing = list_images(folder)
    assert listing.bad[0].remedy.endswith(": images/ (link)")
    assert "images/ (link)" in listing.ignored


def test_unusable_tables_are_rejected(folder):
    text = error_message(write_table(folder, "0.png,cat", "1.png,dog"))
    assert "labels.csv needs a first line that names its columns: file and label" in text
    assert "(found: 0.png, cat)" in text
    assert "(found: nothing)" in error_message(write_table(folder, ""))
    text = error_message(write_table(folder, "file,label,split"))
    assert "labels.csv has no rows below the names of its columns" in text
    text = error_message(write_table(folder, "file,label", "0.png,cat", "1.png,Cat"))
    assert "labels Cat and cat differ only in case" in text
    text = error_message(write_table(folder, "file,label", "0.png,Käse", encoding="utf-16"))
    assert "cannot be read as a CSV file in UTF-8" in text
    text = error_message(write_table(folder, "file,label", '0.png,"' + "x" * 200_000))
    assert "field larger than field limit" in text


@pytest.mark.parametrize("split", ["", "train/"])
def test_class_folders_take_precedence_over_a_table(tmp_path, write_image, split):
    """Data sets with a list of their classes are read as before."""
    for label in "ab":
        write_image(tmp_path / "d" / f"{split}{label}" / "1.jpg")
    listing = list_images(write_table(tmp_path / "d", "ClassId,Name", "a,Stop", "b,Yield"))
    assert listing.classes == ("a", "b")
    assert listing.ignored == ("labels.csv",)


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_table_that_contradicts_class_folders_is_rejected(tmp_path, write_image, split):
    root = tmp_path / "d"
    for folder in ("part1", "part2"):
        write_image(root / f"{split}{folder}" / f"{folder}.jpg")
    write_table(root, "file,label", "part1.jpg,Stop", "part2.jpg,Yield")
    assert list_images(root).classes == ("part1", "part2"), "other names, the same classes"
    write_table(root, "file,label", "part1.jpg,cat", "part2.jpg,cat")
    text = error_message(root)
    assert f"the folders disagree: {split}part2/part2.jpg is cat in the table" in text


def test_prepare_sorts_into_class_folders(folder, tmp_path):
    result = prepare(complete(folder), tmp_path / "small", size=8)
    assert result.counts == {"train": 6, "val": 2, "test": 2}
    prepared = open_data(tmp_path / "small", size=8)
    assert prepared.info.classes == ("cat", "dog")
    assert {name.split("/")[2][0] for name in prepared.val.names} == {
        name[0] for name in open_data(folder, size=8).val.names
    }


@pytest.mark.parametrize("label", ["../../etc", "a/b", "..", ".hidden", "x" * 300])
def test_prepare_writes_no_folder_outside(folder, tmp_path, label):
    rows = [f"{i}.png,{(label, 'dog')[i % 2]}" for i in range(10)]
    write_table(folder, "file,label", *rows)
    assert len(open_data(folder, size=8).info.classes) == 2
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match="cannot be the name of a folder"):
        prepare(folder, tmp_path / "small", size=8)
    assert sorted(tmp_path.iterdir()) == before


def test_prepare_refuses_labels_that_look_like_object_detection(folder, tmp_path):
    write_table(
        folder, "file,label", *(f"{i}.png,{('Images', 'labels')[i % 2]}" for i in range(10))
    )
    with pytest.raises(DataError, match="folders Images and labels, which prepare would create"):
        prepare(folder, tmp_path / "small", size=8)
    assert not (tmp_path / "small").exists()


def test_a_table_without_a_row_for_any_image_is_rejected(folder):
    write_table(folder, "file,label", "other/0.png,cat", "other/1.png,dog")
    assert "no row names an image of the folder: other/0.png: named in labels" in error_message(
        folder
    )


def test_order_of_classes_is_the_same_in_every_process(folder):
    """The labels 7 and 07 have the same number, and sets of strings no fixed order."""
    complete(folder, row="{0}.png,0{0}")
    with (folder / "labels.csv").open("a") as file:
        file.writelines(f"\nsub/{i}.png,{i}" for i in range(10))
    shutil.copytree(folder, folder / "sub", ignore=shutil.ignore_patterns("sub", "*.csv"))
    script = (
        "import sys, pathlib; from handsigns.data.layouts import list_images; "
        "print(list_images(pathlib.Path(sys.argv[1])).classes)"
    )
    orders = {
        subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            env=os.environ | {"PYTHONHASHSEED": str(seed)}, capture_output=True, check=True,
        ).stdout
        for seed in range(3)
    }  # fmt: skip
    assert len(orders) == 1
