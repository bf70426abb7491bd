"""Check of a data set: each fault is found, and a good set has none."""

import base64
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, PngImagePlugin

from handsigns.data.check import check_data
from handsigns.data.image_quality import find_defects
from handsigns.data.synthetic import CLASSES, generate_hands
from handsigns.errors import DataError
from handsigns.workflow.check import write_page


@pytest.fixture(scope="module")
def hands():
    return generate_hands(132, seed=11)


@pytest.fixture
def folder(tmp_path, hands):
    """Return a folder without a fault: 20 train, 1 val and 1 test image of each of two classes."""
    root = tmp_path / "hands"
    count = dict.fromkeys(CLASSES, 0)
    for pixels, label in zip(*hands, strict=True):
        number = count[CLASSES[label]]
        count[CLASSES[label]] += 1
        if label > 1:
            continue
        split = "train" if number < 20 else "val" if number == 20 else "test"
        path = root / split / CLASSES[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def kinds(check):
    return {finding.kind: finding for finding in check.findings}


def test_nothing_is_found_in_a_good_set(folder):
    check = check_data(folder)
    assert check.findings == ()
    assert check.groups == ()
    assert check.num_images == 44
    assert check.counts == {"train": (20, 20), "val": (1, 1), "test": (1, 1)}
    assert check.file_sizes == {"64x64": 44}
    assert check.file_modes == {"RGB": 44}
    assert check.held_out == ()


def test_near_duplicates_across_and_within_splits(folder):
    image = Image.open(folder / "train" / "0" / "3.png")
    image.save(folder / "test" / "0" / "again.jpg", quality=40)
    image.save(folder / "test" / "0" / "same.png")
    Image.open(folder / "train" / "0" / "4.png").save(folder / "train" / "1" / "wrong.png")
    check = check_data(folder)
    found = kinds(check)
    assert found["across_splits"].message == (
        "2 of 4 test images have near-duplicates in train or val, 1 identical"
    )
    assert found["across_splits"].examples == ("test/0/again.jpg", "test/0/same.png")
    assert [image.label for image in found["conflicting_labels"].images] == ["0", "1"]
    assert found["within_split"].message == "1 image repeats another of the same split, in 1 group"
    first, second = check.groups
    assert (first.splits, first.size, first.identical) == (("train", "test"), 3, False)
    assert (second.labels, second.size, second.identical) == (("0", "1"), 2, True)
    thumbnail = Image.open(io.BytesIO(base64.b64decode(first.images[0].thumbnail)))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (64, 64))


def test_counts_and_files(folder):
    for path in sorted((folder / "train" / "0").iterdir())[1:]:
        path.unlink()
    (folder / "val" / "0" / "20.png").unlink()
    (folder / "train" / "1" / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (9, 9)).save(folder / "outside.png")
    found = kinds(check_data(folder))
    assert found["unusable_files"].examples[0].startswith("train/1/broken.png: not an image")
    assert found["ignored_images"].examples == ("outside.png",)
    assert found["missing_class"].examples == ("val: 0",)
    assert found["few_images"].examples == ("0: 1",)
    assert found["imbalance"].message == "class 0 has 1 training image, 1 20"


def test_images_of_a_faulty_set_are_decoded_once(folder):
    (folder / "train" / "1" / "broken.png").write_bytes(b"no image")
    decoded = []
    check_data(folder, progress=lambda *numbers: decoded.append(numbers))
    assert decoded == [(number, 45) for number in range(1, 46)]


def test_ignored_table_beside_class_folders_is_no_image(folder):
    (folder / "labels.csv").write_text("file,label\n3.png,0\n")
    (finding,) = check_data(folder).findings
    assert finding.message == "1 file or folder not part of the layout"
    assert finding.advice == "move images that belong to the data into the class folders"


def test_advice_for_a_table_names_the_table(tmp_path, hands):
    names = []
    for number, pixels in enumerate(hands[0][:50]):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        names.append(f"{number}.png,{number % 2},{'val' if number == 48 else 'train'}\n")
    (tmp_path / "labels.csv").write_text("file,label,split\n" + "".join(names[:-1]))
    found = kinds(check_data(tmp_path))
    assert found["ignored_images"].advice.endswith("a row in labels.csv")
    assert "its rows in labels.csv" in found["missing_class"].advice


def test_classes_that_differ_only_in_case_are_named(folder):
    for split in ("train", "val", "test"):
        (folder / split / "0").rename(folder / split / "Fist")
        (folder / split / "1").rename(folder / split / "fist")
    (finding,) = check_data(folder).findings
    assert finding.kind == "class_spellings"
    assert finding.message == "classes Fist and fist differ only in case"


def test_poor_images(folder):
    path = folder / "train" / "0" / "3.png"
    image = Image.open(path).copy()
    image.filter(ImageFilter.GaussianBlur(4)).save(folder / "train" / "0" / "blurred.png")
    image.point(lambda v: v // 6).save(folder / "train" / "0" / "dark.png")
    image.point(lambda v: 228 + v // 10).save(folder / "train" / "0" / "bright.png")
    Image.new("L", (64, 64), 90).save(folder / "train" / "0" / "grey.png")
    image.resize((40, 50)).save(folder / "train" / "0" / "small.png")
    check = check_data(folder)
    found = kinds(check)
    for kind, name in (
        ("blurred", "blurred"), ("dark", "dark"), ("bright", "bright"), ("uniform", "grey")
    ):  # fmt: skip
        assert found[kind].examples == (f"train/0/{name}.png",)
        assert [Path(shown.name).stem for shown in found[kind].images] == [name]
    assert found["enlarged"].examples == ("40x50: 1",)
    assert check.file_modes == {"RGB": 48, "L": 1}


def test_size_of_an_image_with_a_long_text_is_counted(folder):
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "a" * 2_000_000, zip=True)
    path = folder / "train" / "0" / "3.png"
    Image.open(path).save(path, pnginfo=text)
    assert check_data(folder).file_sizes == {"64x64": 44}


def test_splits_that_are_split_off_have_no_leaks(tmp_path, hands):
    for pixels, label in zip(*hands, strict=True):
        for copy in range(2):
            path = tmp_path / "set" / CLASSES[label] / f"{pixels.sum()}_{copy}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=60 + 30 * copy)
    check = check_data(tmp_path / "set")
    assert check.held_out == ("val", "test")
    assert kinds(check).keys() == {"within_split"}
    assert check.num_groups == 132


def test_named_groups_are_no_near_duplicates(folder):
    for split in ("train", "val", "test"):
        for path in sorted((folder / split).glob("*/*.png")):
            path.rename(path.with_stem(f"p{int(path.stem) % 20}_{split}"))
    found = kinds(check_data(folder, group_by=r"^(p\d+)_"))
    assert "near-duplicates or others of their group in train" in found["across_splits"].message
    assert not found.keys() & {"within_split", "conflicting_labels"}


def test_a_folder_without_a_layout_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no images in a supported layout"):
        check_data(tmp_path)


def test_defects_are_relative_to_the_set():
    blurred = [
        np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)))
        for image in generate_hands(20, seed=1)[0]
    ]
    assert not find_defects(blurred)["blurred"].any(), "all are equally soft"
    assert {kind: len(mask) for kind, mask in find_defects([]).items()} == dict.fromkeys(
        ("uniform", "dark", "bright", "blurred"), 0
    )


def test_command_prints_json_and_writes_a_page(folder, tmp_path, monkeypatch, capsys):
    from handsigns.cli import main

    monkeypatch.chdir(tmp_path)
    Image.open(folder / "train" / "0" / "3.png").save(folder / "val" / "0" / "<b>.png")
    assert main(["check", str(folder), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in printed["findings"]] == ["across_splits"]
    assert {image["name"] for image in printed["groups"][0]["images"]} == {
        "train/0/3.png", "val/0/<b>.png"
    }  # fmt: skip
    (page,) = (path.read_text() for path in tmp_path.glob("reports/check-hands-*/index.html"))
    assert "val/0/&lt;b&gt;.png" in page
    assert "<script" not in page
    assert main(["check", str(folder), "--strict", "--no-report"]) == 1
    (folder / "val" / "0" / "<b>.png").unlink()
    assert main(["check", str(folder), "--strict", "--no-report"]) == 0
    assert "nothing was found" in capsys.readouterr().out


@pytest.mark.parametrize("names", [("a/photos", "b/photos"), ("猫", "犬")])
def test_pages_of_different_folders_are_both_kept(folder, tmp_path, names):
    check = check_data(folder)
    checks = [dataclasses.replace(check, source=str(tmp_path / name)) for name in names]
    pages = {write_page(check, tmp_path / "reports") for check in (*checks, *checks)}
    assert len(pages) == 2
