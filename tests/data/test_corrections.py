"""Corrections of labels: relabelled and excluded images, without touching files."""

import os
import unicodedata

import pytest

from handsigns.console.sanitize import printable
from handsigns.data.corrections import apply_corrections, read_corrections
from handsigns.data.dataset import open_data
from handsigns.data.near_duplicates import image_digests
from handsigns.errors import DataError


@pytest.fixture
def data(signs_folder):
    return open_data(signs_folder, size=8)


@pytest.fixture
def write_table(tmp_path):
    """Return a function that writes a CSV file of some lines."""

    def write(*lines, name="wrong.csv", encoding="utf-8"):
        (tmp_path / name).write_text("\n".join(lines), encoding=encoding)
        return tmp_path / name

    return write


def label_of(split, name, classes):
    return classes[split.labels[split.names.index(name)]]


IMAGE = "train_signs/0_IMG_train0.jpg"
VAL_IMAGE = "val_signs/3_IMG_val1.jpg"


def test_images_are_relabelled_and_excluded(data, write_table):
    relabel = write_table("image,split,label,suggested", f"{IMAGE},train,0,4")
    exclude = write_table("image", VAL_IMAGE, name="out.csv")
    corrected = apply_corrections(data, read_corrections([relabel], [exclude]))
    assert label_of(corrected.train, IMAGE, data.info.classes) == "4"
    assert VAL_IMAGE not in corrected.val.names
    assert (len(corrected.train), len(corrected.val)) == (30, 11)
    assert corrected.info.counts["train"] == (4, 5, 5, 5, 6, 5)
    assert corrected.info.counts["val"] == (2, 2, 2, 1, 2, 2)
    assert corrected.info.fingerprint != data.info.fingerprint
    assert "1 image relabelled, 1 excluded" in corrected.info.notes[-1]
    assert corrected.check.fingerprint == corrected.info.fingerprint
    assert data.split_files is not None
    assert corrected.split_files is None, "trials must not map the labels in the cache"
    assert data.train.labels[data.train.names.index(IMAGE)] == 0, "the cached labels are unchanged"


def test_tables_of_several_rounds_are_all_applied(data, write_table):
    first = write_table("image,suggested", f"{IMAGE},4", name="first.csv")
    second = write_table("image,suggested", f"{VAL_IMAGE},1", name="second.csv")
    corrected = apply_corrections(data, read_corrections([first, second], []))
    assert label_of(corrected.train, IMAGE, data.info.classes) == "4"
    assert label_of(corrected.val, VAL_IMAGE, data.info.classes) == "1"
    contradicting = write_table("image,suggested", f"{IMAGE},2", name="third.csv")
    with pytest.raises(DataError, match=r"third\.csv line 2: .* is also in .*first\.csv line 2"):
        read_corrections([first, contradicting], [])


def test_remaining_images_keep_their_pixels_and_groups(data, write_table):
    corrected = apply_corrections(data, read_corrections([], [write_table("image", IMAGE)]))
    kept = [i for i, name in enumerate(data.train.names) if name != IMAGE]
    assert (corrected.train.images == data.train.images[kept]).all()
    assert (corrected.train.groups == data.train.groups[kept]).all()
    assert corrected.train.names == tuple(data.train.names[i] for i in kept)


def test_fingerprint_depends_on_the_corrections_alone(data, write_table):
    def fingerprint(*rows):
        table = write_table("image,suggested", *rows)
        return apply_corrections(data, read_corrections([table], [])).info.fingerprint

    rows = [f"{IMAGE},4", f"{VAL_IMAGE},0"]
    assert fingerprint(*rows) == fingerprint(*reversed(rows))
    assert fingerprint(f"{IMAGE},4") != fingerprint(f"{IMAGE},5")
    assert fingerprint(f"{IMAGE},0") == data.info.fingerprint, "it has this label already"


def test_test_split_is_not_opened(data, write_table, monkeypatch):
    monkeypatch.setattr(type(data), "open_test", lambda self: pytest.fail("opened"))
    table = write_table("image,split,suggested", "test_signs/0_IMG_test0.jpg,test,1")
    with pytest.raises(DataError, match=r"line 2: test_signs/0_IMG_test0\.jpg is no image of tr"):
        apply_corrections(data, read_corrections([table], []))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_saved_by_spreadsheets_are_read(data, write_table, separator):
    lines = (separator.join(cells) for cells in (("image", "suggested", "x"), (IMAGE, "4", ",")))
    table = write_table(*lines, encoding="utf-8-sig")
    (correction,) = read_corrections([table], [])
    assert (correction.image, correction.label) == (IMAGE, "4")


def test_spaces_and_case_of_column_names_are_passed_over(write_table):
    (correction,) = read_corrections([write_table(" Image, Suggested", f"{IMAGE},4")], [])
    assert (correction.image, correction.label) == (IMAGE, "4")


def test_formula_escapes_are_undone(write_table):
    (correction,) = read_corrections([write_table("image,suggested", "'=1.png,'-1")], [])
    assert (correction.image, correction.label) == ("=1.png", "-1")


def test_pixels_are_compared_with_their_digest(data, write_table):
    (digest,) = image_digests([data.train.images[data.train.names.index(IMAGE)]])
    same = read_corrections([], [write_table("image,digest", f"{IMAGE},{digest}")])
    assert len(apply_corrections(data, same).train) == 29
    other = read_corrections([], [write_table("image,digest", f"{IMAGE},{digest[::-1]}")])
    with pytest.raises(DataError, match=f"line 2: {IMAGE} has other pixels"):
        apply_corrections(data, other)


def test_image_is_found_by_its_printable_name(class_folder, write_table):
    """A name that is not UTF-8 cannot be written to a table as it is."""
    for path in (class_folder / "train" / "cat").iterdir():
        path.rename(path.with_name(os.fsdecode(b"\xff") + path.name))
    data = open_data(class_folder, size=8)
    table = write_table("image,suggested", f"{printable(data.train.names[0])},dog")
    corrected = apply_corrections(data, read_corrections([table], []))
    assert label_of(corrected.train, data.train.names[0], data.info.classes) == "dog"


def test_every_unusable_row_is_listed(data, write_table):
    table = write_table("image,suggested", "none.jpg,1", f"{IMAGE},1", f"{VAL_IMAGE},seven")
    with pytest.raises(DataError) as caught:
        apply_corrections(data, read_corrections([table], []))
    message = str(caught.value)
    assert "line 2: none.jpg is no image of train or val" in message
    assert "line 4: there is no class seven" in message
    assert "line 3" not in message


def test_class_without_images_is_refused(data, write_table):
    rows = [name for name in data.val.names if name.startswith("val_signs/3_")]
    with pytest.raises(DataError, match="class 3 would have no images in val"):
        apply_corrections(data, read_corrections([], [write_table("image", *rows)]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,suggested", "a.png,1"], "needs a first line that names its columns: image and su"),
        (["image", "a.png"], "needs a first line that names its columns: image and suggested"),
        (["image,suggested"], "names no image"),
        (["image,suggested", "a.png,"], "line 2: no class to relabel it with"),
        (["image,suggested", "a.png,1", "a.png,2"], r"line 3: a.png is also in .*csv line 2"),
    ],
)
def test_unusable_tables_are_explained(write_table, lines, message):
    with pytest.raises(DataError, match=message):
        read_corrections([write_table(*lines)], [])


def test_a_table_cannot_both_relabel_and_exclude(write_table):
    table = write_table("image,suggested", "a.png,1")
    with pytest.raises(DataError, match=r"line 2: a.png is also in .*csv line 2"):
        read_corrections([table], [table])


def test_missing_and_binary_tables_are_explained(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00image")
    for name, reason in (("none.csv", ": No such file"), ("binary.csv", " as a CSV file in UTF-8")):
        with pytest.raises(DataError, match=f"{name} cannot be read{reason}"):
            read_corrections([], [tmp_path / name])


def test_a_table_may_compose_letters_otherwise_than_file_names(class_folder, write_table):
    """macOS decomposes them."""
    for path in (class_folder / "train" / "cat").iterdir():
        path.rename(path.with_name(f"e\u0301{path.name}"))
    data = open_data(class_folder, size=8)
    (name, *_) = data.train.names
    table = write_table("image,suggested", f"{unicodedata.normalize('NFC', name)},dog")
    corrected = apply_corrections(data, read_corrections([table], []))
    assert label_of(corrected.train, name, data.info.classes) == "dog"


def test_spaces_of_names_and_labels_are_kept(class_folder, write_table):
    root = class_folder / "train"
    for label in ("cat", "dog"):
        (root / label).rename(root / f" {label} ")
    data = open_data(root, size=8)
    name = next(name for name in data.train.names if name.startswith(" cat"))
    table = write_table("image,suggested", f"{name}, dog ")
    corrected = apply_corrections(data, read_corrections([table], []))
    assert label_of(corrected.train, name, data.info.classes) == " dog "


def test_spaces_around_names_and_labels_are_passed_over(data, write_table):
    def correct(row):
        return apply_corrections(data, read_corrections([write_table("image,label", row)], []))

    spaced = correct(f" {IMAGE} , 4 ")
    assert label_of(spaced.train, IMAGE, data.info.classes) == "4"
    assert spaced.info.fingerprint == correct(f"{IMAGE},4").info.fingerprint
