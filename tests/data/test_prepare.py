import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handsigns.data.dataset import open_data
from handsigns.data.images import decode
from handsigns.data.prepare import prepare
from handsigns.errors import DataError


def silent(done, total):
    pass


@pytest.fixture
def raw(tmp_path, write_image):
    """Raw CS230 download: large photographs, no val folder."""
    root = tmp_path / "raw"
    for label in range(6):
        for i in range(10):
            write_image(root / "train_signs" / f"{label}_IMG_{i}.jpg", size=(90, 60))
        write_image(root / "test_signs" / f"{label}_IMG_t.jpg", size=(90, 60))
    return root


def run_prepare(raw, tmp_path, **options):
    return prepare(raw, tmp_path / "small", size=16, progress=silent, **options)


def test_prepared_images_are_split_80_20(raw, tmp_path):
    result = run_prepare(raw, tmp_path)
    assert result.counts == {"train": 48, "val": 12, "test": 6}
    assert result.num_written == 66
    assert "no val folder: 12 of 60" in result.notes[0]
    data = open_data(tmp_path / "small", size=16)
    assert data.info.counts == {"train": (8,) * 6, "val": (2,) * 6, "test": (1,) * 6}
    with Image.open(tmp_path / "small" / "test_signs" / "3_IMG_t.jpg") as image:
        assert image.size == (16, 16)
    assert json.loads((tmp_path / "small" / "manifest.json").read_text())["complete"]


def test_split_depends_on_the_seed(raw, tmp_path):
    names = []
    for number, seed in enumerate((1, 1, 2)):
        prepare(raw, tmp_path / str(number), size=16, seed=seed, progress=silent)
        names.append({p.name for p in (tmp_path / str(number) / "val_signs").iterdir()})
    assert names[0] == names[1] != names[2]


def test_rerun_keeps_existing_images(raw, tmp_path):
    run_prepare(raw, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "small").rglob("*.jpg")}
    assert run_prepare(raw, tmp_path).num_written == 0
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "small").rglob("*.jpg")}


def test_interrupted_run_resumes(raw, tmp_path, monkeypatch):
    def interrupt(done, total):
        if done == 20 and (tmp_path / "small" / "train_signs").exists():  # while images are written
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(raw, tmp_path / "small", size=16, progress=interrupt)
    written = list((tmp_path / "small").rglob("*.jpg"))
    assert 20 <= len(written) <= 66
    assert not json.loads((tmp_path / "small" / "manifest.json").read_text())["complete"]
    assert not list((tmp_path / "small").rglob("*.tmp"))
    assert run_prepare(raw, tmp_path).num_written == 66 - len(written)


def test_foreign_folder_is_left_unchanged(raw, tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not empty and was not created by prepare"):
        run_prepare(raw, tmp_path)
    assert [p.name for p in (tmp_path / "small").iterdir()] == ["thesis.txt"]


def test_different_settings_need_a_new_folder(raw, tmp_path, write_image):
    run_prepare(raw, tmp_path)
    with pytest.raises(DataError, match="was created with a different seed; pass a new folder"):
        run_prepare(raw, tmp_path, seed=1)
    write_image(raw / "train_signs" / "0_new.jpg")
    with pytest.raises(DataError, match="was created with a different source"):
        run_prepare(raw, tmp_path)


def test_the_source_is_read_with_progress(raw, tmp_path):
    reported = []
    prepare(raw, tmp_path / "small", size=16, progress=lambda done, _: reported.append(done))
    reported.clear()
    prepare(raw, tmp_path / "small", size=16, progress=lambda done, _: reported.append(done))
    assert reported.count(66) >= 2, "once compared with what exists, once converted"


def test_folders_of_earlier_versions_are_named_as_such(raw, tmp_path):
    run_prepare(raw, tmp_path)
    (manifest,) = (tmp_path / "small").glob("*.json")
    recorded = json.loads(manifest.read_text())
    del recorded["numbers"]
    manifest.write_text(json.dumps(recorded))
    with pytest.raises(DataError, match="was created with a different version of handsigns"):
        run_prepare(raw, tmp_path)


def test_bad_files_are_listed_and_can_be_skipped(raw, tmp_path):
    (raw / "train_signs" / "0_bad.jpg").write_bytes(b"")
    (raw / "train_signs" / "9_bad.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        run_prepare(raw, tmp_path)
    assert "train_signs/9_bad.jpg: label 9 is outside 0 to 5" in str(caught.value)
    assert "train_signs/0_bad.jpg: empty: 0 bytes" in str(caught.value)
    result = run_prepare(raw, tmp_path, skip_bad=True)
    assert sum(result.counts.values()) == 66
    assert "2 bad files were skipped" in result.notes[-1]


def test_skipped_files_are_not_split_off(class_folder, tmp_path):
    """Otherwise a split may consist of them, and no search would accept the data set."""
    for label in ("cat", "dog"):
        for i in range(7):
            (class_folder / "train" / label / f"{i}.png").write_bytes(b"")
    result = run_prepare(class_folder, tmp_path, skip_bad=True)
    assert result.counts == {"train": 2, "val": 2, "test": 2}
    assert "14 bad files were skipped" in result.notes[-1]
    assert len(open_data(result.folder, size=16).val) == 2


def test_a_split_of_bad_files_alone_is_not_complete(raw, tmp_path):
    run_prepare(raw, tmp_path)
    given = tmp_path / "small"
    for path in (given / "test_signs").glob("0_*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="test"):
        prepare(given, tmp_path / "smaller", size=16, skip_bad=True)
    assert not json.loads((tmp_path / "smaller" / "manifest.json").read_text())["complete"]


def test_class_folder_layout_is_kept(class_folder, tmp_path):
    result = prepare(class_folder, tmp_path / "small", size=8, progress=silent)
    assert result.counts == {"train": 12, "val": 4, "test": 4}
    assert open_data(tmp_path / "small", size=8).info.classes == ("cat", "dog")


def test_images_of_equal_stem_are_both_kept(tmp_path, write_image):
    for label in ("a", "b"):
        for i in range(4):
            write_image(tmp_path / "d" / "train" / label / f"{i}.png")
            write_image(tmp_path / "d" / "train" / label / f"{i}.jpg")
    result = prepare(tmp_path / "d", tmp_path / "small", size=8, progress=silent)
    assert sum(result.counts.values()) == 16 == len(list((tmp_path / "small").rglob("*.jpg")))


def test_jpeg_quality_is_high(raw, tmp_path):
    run_prepare(raw, tmp_path)
    source = decode((raw / "test_signs" / "0_IMG_t.jpg").read_bytes(), 16)
    with Image.open(tmp_path / "small" / "test_signs" / "0_IMG_t.jpg") as image:
        assert np.abs(np.asarray(image).astype(int) - source).mean() < 4


def error_message(source, dest, **options):
    with pytest.raises(DataError) as caught:
        prepare(source, dest, size=16, **options)
    return str(caught.value)


@pytest.fixture
def split(raw, tmp_path):
    """Return a data set with all three splits."""
    return prepare(raw, tmp_path / "split", size=32, progress=silent).folder


def test_good_images_are_kept_when_bad_ones_are_rejected(split, tmp_path):
    (split / "train_signs" / "0_bad.jpg").write_bytes(b"")
    error_message(split, tmp_path / "small")
    result = run_prepare(split, tmp_path, skip_bad=True)
    assert result.num_written == 0
    assert sum(result.counts.values()) == 66


@pytest.mark.parametrize("given", [True, False], ids=["splits given", "split off"])
def test_a_rerun_accepts_mended_and_removed_files(raw, split, tmp_path, given):
    source = split if given else raw
    (removed, mended, *_) = sorted((source / "train_signs").iterdir())
    good = mended.read_bytes()
    removed.write_bytes(b"")
    mended.write_bytes(good[: len(good) // 2])
    text = error_message(source, tmp_path / "small")
    assert removed.name in text
    assert mended.name in text
    removed.unlink()
    mended.write_bytes(good)
    result = run_prepare(source, tmp_path)
    assert sum(result.counts.values()) == 65
    assert result.num_written == (1 if given else 65)


def test_a_bad_file_stops_a_split_before_it_is_written(raw, tmp_path):
    """Which images are split off depends on all of them."""
    (raw / "test_signs" / "0_bad.jpg").write_bytes(b"no image")
    assert "0_bad.jpg" in error_message(raw, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_named_groups_are_kept_for_folds(raw, tmp_path, write_image):
    for index in range(4):
        write_image(raw / "train_signs" / f"0_anna_{index}.jpg", size=(90, 60))
    result = run_prepare(raw, tmp_path, group_by="_(anna)_")
    assert "search with --group-by groups.csv" in result.notes[-1]
    data = open_data(result.folder, size=16, group_by="groups.csv")
    raw_data = open_data(raw, size=16, group_by="_(anna)_")
    assert data.info.counts == raw_data.info.counts
    for split in (data.train, data.val):
        annas = {g for name, g in zip(split.names, split.groups, strict=True) if "anna" in name}
        assert len(annas) <= 1
    rows = (result.folder / "groups.csv").read_text().splitlines()
    assert rows[0] == "image,group"
    assert len(rows) == 5
    assert all("_anna_" in row and row.endswith(",anna") for row in rows[1:])


def test_skipped_files_are_in_no_group(split, tmp_path):
    (split / "train_signs" / "0_bad.jpg").write_bytes(b"no image")
    result = run_prepare(split, tmp_path, group_by="IMG|bad", skip_bad=True)
    assert open_data(result.folder, size=16, group_by="groups.csv").info.counts


def test_dangling_symlink_is_a_bad_file(raw, tmp_path):
    (raw / "train_signs" / "0_dangling.jpg").symlink_to("nowhere.jpg")
    assert "train_signs/0_dangling.jpg: unreadable: No such file" in error_message(
        raw, tmp_path / "small"
    )


def test_foreign_images_in_the_destination_are_rejected(raw, tmp_path, write_image):
    run_prepare(raw, tmp_path)
    (tmp_path / "small" / "README").write_text("harmless")
    assert run_prepare(raw, tmp_path).num_written == 0
    write_image(tmp_path / "small" / "train_signs" / "0_foreign.PNG")
    text = error_message(raw, tmp_path / "small")
    assert "contains train_signs/0_foreign.PNG, not created by prepare from this source" in text


def test_images_of_earlier_splits_are_explained(class_folder, tmp_path, write_image):
    image = class_folder / "train" / "cat" / "0.png"
    image.write_bytes(b"no image")
    run_prepare(class_folder, tmp_path, skip_bad=True)
    write_image(image)
    text = error_message(class_folder, tmp_path / "small")
    assert "unless its splits have changed (by other groups or mended files)" in text


@pytest.mark.parametrize("subfolder", [".", "small", "train_signs/small"])
def test_destination_inside_the_source_is_rejected(raw, subfolder):
    before = sorted(raw.rglob("*"))
    assert "pass a folder outside it" in error_message(raw, raw / subfolder)
    assert sorted(raw.rglob("*")) == before


def test_home_folder_is_expanded_in_both_paths(raw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "pass a folder outside it" in error_message(Path("~/raw"), raw / "small")
    assert prepare(Path("~/raw"), Path("~/small"), size=16).folder == tmp_path / "small"
    assert "cannot be used" in error_message(raw, Path("~no-such-user/small"))
    assert not [*tmp_path.glob("~*")]


def test_unwritable_destination_is_rejected(raw, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "is a file; pass a new folder" in error_message(raw, tmp_path / "file")
    text = error_message(raw, tmp_path / "file" / "small")
    assert "cannot be written: Not a directory; fix that, then rerun the same command" in text


def test_full_disk_is_reported(raw, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert "cannot be written: No space left on device" in error_message(raw, tmp_path / "small")
    assert not list((tmp_path / "small").rglob("*.jpg"))
    assert not list((tmp_path / "small").rglob("*.tmp"))


def test_unusable_source_creates_no_folder(raw, tmp_path):
    for path in (raw / "test_signs").iterdir():
        path.unlink()
    assert error_message(raw, tmp_path / "small").count("the test split is empty")
    assert not (tmp_path / "small").exists()


def test_names_differing_in_case_or_suffix_are_kept(tmp_path, write_image):
    for label in ("a", "b"):
        for name in ("1.png", "1.JPG", "x.png", "X.png", "Y.png", "z z (ü)\n.bmp"):
            write_image(tmp_path / "d" / label / name)
    for _ in range(2):
        result = prepare(tmp_path / "d", tmp_path / "small", size=8)
    assert result.num_written == 0
    made = [p.relative_to(tmp_path / "small") for p in (tmp_path / "small").rglob("*.jpg")]
    assert len({str(path).casefold() for path in made}) == 12


def test_images_are_stored_upright(raw, tmp_path):
    image = Image.new("RGB", (64, 64), (255, 0, 0))
    image.paste((0, 0, 255), (0, 32, 64, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored top is displayed at the right
    image.save(raw / "test_signs" / "0_rotated.jpg", exif=exif, quality=95)
    run_prepare(raw, tmp_path)
    with Image.open(tmp_path / "small" / "test_signs" / "0_rotated.jpg") as small:
        assert not small.getexif()
        pixels = np.asarray(small)
    assert pixels[8, 13, 0] > 200 > 60 > pixels[8, 2, 0]


def test_prepared_and_raw_data_have_equal_splits(raw, tmp_path):
    run_prepare(raw, tmp_path)
    data = open_data(raw, size=16)
    prepared = open_data(tmp_path / "small", size=16)
    assert sorted(name.split("/")[1] for name in prepared.val.names) == sorted(
        name.split("/")[1] for name in data.val.names
    )


def test_leftovers_in_the_destination_are_passed_over(raw, tmp_path, write_image):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "Thumbs.db").write_bytes(b"x")
    run_prepare(raw, tmp_path)
    write_image(tmp_path / "small" / "train_signs" / "@eaDir" / "0_thumb.jpg")
    assert run_prepare(raw, tmp_path).num_written == 0


def test_first_frames_are_noted(raw, tmp_path):
    frames = [Image.new("RGB", (90, 60), colour) for colour in ("red", "blue")]
    frames[0].save(raw / "test_signs" / "0_a.webp", save_all=True, append_images=frames[1:])
    assert run_prepare(raw, tmp_path).notes[-1].startswith("1 of 67 images: only the first frame")


def test_a_removed_file_renames_no_other_image(split, tmp_path, write_image):
    """Images of equal stem are numbered in the order of their names."""
    bad = split / "train_signs" / "0_a.jpg"
    bad.write_bytes(b"no image")
    for suffix in ("png", "webp"):
        write_image(bad.with_suffix(f".{suffix}"))
    assert "0_a.jpg" in error_message(split, tmp_path / "small")
    before = {p: p.read_bytes() for p in (tmp_path / "small").rglob("0_a*.jpg")}
    bad.unlink()
    result = run_prepare(split, tmp_path)
    assert (len(before), result.num_written) == (2, 0)
    assert before == {p: p.read_bytes() for p in result.folder.rglob("0_a*.jpg")}


def test_a_mended_file_takes_no_name_of_another(split, tmp_path, write_image):
    outside, link = write_image(tmp_path / "b.png"), split / "train_signs" / "0_a.bmp"
    link.symlink_to(outside)
    write_image(link.with_suffix(".png"))
    run_prepare(split, tmp_path, skip_bad=True)
    link.unlink()
    write_image(link)
    result = run_prepare(split, tmp_path)
    assert result.num_written == 1
    assert len({path.read_bytes() for path in result.folder.rglob("0_a*.jpg")}) == 2


def test_groups_of_undecodable_names_are_refused_up_front(split, tmp_path):
    path = min((split / "train_signs").iterdir())
    path.rename(path.with_name(os.fsdecode(b"0_caf\xe9.jpg")))
    text = error_message(split, tmp_path / "small", group_by=r"^(.*)\.")
    assert r"0_caf\udce9.jpg: the name is not UTF-8, as groups.csv must be" in text
    assert not (tmp_path / "small").exists()
    result = run_prepare(split, tmp_path, group_by=r"^(.*)\.", skip_bad=True)
    assert sum(result.counts.values()) == 65


def test_other_pixels_of_equal_file_size_are_noticed(split, tmp_path, write_image):
    path = write_image(split / "train_signs" / "0_a.bmp")
    run_prepare(split, tmp_path)
    write_image(path)
    assert "was created with a different source" in error_message(split, tmp_path / "small")


@pytest.mark.parametrize("name", ["x" * 245, "猫" * 81])
def test_images_with_long_names_are_prepared(raw, tmp_path, write_image, name):
    write_image(raw / "train_signs" / f"0_{name}.jpg")
    assert len(list(run_prepare(raw, tmp_path).folder.rglob(f"0_{name}.jpg"))) == 1
