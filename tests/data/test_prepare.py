import json

import numpy as np
import pytest
from PIL import Image

from handsigns.data import prepare as preparing
from handsigns.data.dataset import open_data
from handsigns.data.prepare import prepare
from handsigns.errors import DataError


def silent(done, total):
    pass


@pytest.fixture
def raw(tmp_path, picture):
    """The course's raw download: large photographs, no val folder."""
    root = tmp_path / "raw"
    for label in range(6):
        for i in range(10):
            picture(root / "train_signs" / f"{label}_IMG_{i}.jpg", size=(90, 60))
        picture(root / "test_signs" / f"{label}_IMG_t.jpg", size=(90, 60))
    return root


def make(raw, tmp_path, **options):
    return prepare(raw, tmp_path / "small", size=16, progress=silent, **options)


def test_small_pictures_split_80_20(raw, tmp_path):
    done = make(raw, tmp_path)
    assert done.counts == {"train": 48, "val": 12, "test": 6}
    assert done.made == 66
    assert "no val folder: 12 of 60" in done.notes[0]
    data = open_data(tmp_path / "small", size=16)
    assert data.info.counts == {"train": (8,) * 6, "val": (2,) * 6, "test": (1,) * 6}
    with Image.open(tmp_path / "small" / "test_signs" / "3_IMG_t.jpg") as image:
        assert image.size == (16, 16)
    assert json.loads((tmp_path / "small" / "manifest.json").read_text())["complete"]


def test_the_split_follows_from_the_seed(raw, tmp_path):
    names = []
    for number, seed in enumerate((1, 1, 2)):
        prepare(raw, tmp_path / str(number), size=16, seed=seed, progress=silent)
        names.append({p.name for p in (tmp_path / str(number) / "val_signs").iterdir()})
    assert names[0] == names[1] != names[2]


def test_repeating_makes_nothing_again(raw, tmp_path):
    make(raw, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "small").rglob("*.jpg")}
    assert make(raw, tmp_path).made == 0
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "small").rglob("*.jpg")}


def test_an_interrupted_one_goes_on_where_it_was(raw, tmp_path, monkeypatch):
    def interrupt(done, total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(raw, tmp_path / "small", size=16, progress=interrupt)
    there = list((tmp_path / "small").rglob("*.jpg"))
    assert 20 <= len(there) <= 66
    assert not json.loads((tmp_path / "small" / "manifest.json").read_text())["complete"]
    assert not list((tmp_path / "small").rglob("*.tmp"))
    assert make(raw, tmp_path).made == 66 - len(there)


def test_a_folder_of_something_else_is_left_alone(raw, tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not empty and was not made by prepare"):
        make(raw, tmp_path)
    assert [p.name for p in (tmp_path / "small").iterdir()] == ["thesis.txt"]


def test_other_settings_want_another_folder(raw, tmp_path, picture):
    make(raw, tmp_path)
    with pytest.raises(DataError, match="was made with another seed; name a new folder"):
        make(raw, tmp_path, seed=1)
    picture(raw / "train_signs" / "0_new.jpg")
    with pytest.raises(DataError, match="was made with another source"):
        make(raw, tmp_path)


def test_bad_files_are_listed_and_can_be_skipped(raw, tmp_path):
    (raw / "train_signs" / "0_bad.jpg").write_bytes(b"")
    (raw / "train_signs" / "9_bad.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        make(raw, tmp_path)
    assert "train_signs/9_bad.jpg: label 9 is outside 0 to 5" in str(caught.value)
    assert "train_signs/0_bad.jpg: empty: 0 bytes" in str(caught.value)
    done = make(raw, tmp_path, skip_bad=True)
    assert sum(done.counts.values()) == 66
    assert "2 bad files were skipped" in done.notes[-1]


def test_class_folders_stay_class_folders(class_folder, tmp_path):
    done = prepare(class_folder, tmp_path / "small", size=8, progress=silent)
    assert done.counts == {"train": 12, "val": 4, "test": 4}
    assert open_data(tmp_path / "small", size=8).info.classes == ("cat", "dog")


def test_two_pictures_of_one_name_both_survive(tmp_path, picture):
    for label in ("a", "b"):
        for i in range(4):
            picture(tmp_path / "d" / "train" / label / f"{i}.png")
            picture(tmp_path / "d" / "train" / label / f"{i}.jpg")
    done = prepare(tmp_path / "d", tmp_path / "small", size=8, progress=silent)
    assert sum(done.counts.values()) == 16 == len(list((tmp_path / "small").rglob("*.jpg")))


def test_quality_is_high(raw, tmp_path):
    make(raw, tmp_path)
    source = preparing.decode((raw / "test_signs" / "0_IMG_t.jpg").read_bytes(), 16)
    with Image.open(tmp_path / "small" / "test_signs" / "0_IMG_t.jpg") as image:
        assert np.abs(np.asarray(image).astype(int) - source).mean() < 4


def refusal(source, dest, **options):
    with pytest.raises(DataError) as caught:
        prepare(source, dest, size=16, **options)
    return str(caught.value)


def test_good_images_are_kept_when_bad_ones_are_refused(raw, tmp_path):
    (raw / "train_signs" / "0_bad.jpg").write_bytes(b"")
    refusal(raw, tmp_path / "small")
    done = make(raw, tmp_path, skip_bad=True)
    assert done.made == 0
    assert sum(done.counts.values()) == 66


def test_a_link_to_nowhere_is_a_bad_file(raw, tmp_path):
    (raw / "train_signs" / "0_gone.jpg").symlink_to("nowhere.jpg")
    assert "train_signs/0_gone.jpg: unreadable: No such file" in refusal(raw, tmp_path / "small")


def test_foreign_pictures_would_become_part_of_the_data_set(raw, tmp_path, picture):
    make(raw, tmp_path)
    (tmp_path / "small" / "README").write_text("harmless")
    assert make(raw, tmp_path).made == 0
    picture(tmp_path / "small" / "train_signs" / "0_foreign.PNG")
    text = refusal(raw, tmp_path / "small")
    assert "holds train_signs/0_foreign.PNG, not made by prepare from these pictures" in text


@pytest.mark.parametrize("place", [".", "small", "train_signs/small"])
def test_the_source_is_only_read(raw, place):
    before = sorted(raw.rglob("*"))
    assert "which is only read; name a folder elsewhere" in refusal(raw, raw / place)
    assert sorted(raw.rglob("*")) == before


def test_a_place_that_cannot_be_written(raw, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "is a file; name a folder to make" in refusal(raw, tmp_path / "file")
    text = refusal(raw, tmp_path / "file" / "small")
    assert "cannot be written: Not a directory; when that is mended" in text


def test_a_full_disk_is_told_without_a_traceback(raw, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparing.Image.Image, "save", full)
    assert "cannot be written: No space left on device" in refusal(raw, tmp_path / "small")
    assert not list((tmp_path / "small").rglob("*.jpg"))
    assert not list((tmp_path / "small").rglob("*.tmp"))


def test_what_could_not_be_searched_on_is_not_made(raw, tmp_path):
    for path in (raw / "test_signs").iterdir():
        path.unlink()
    assert refusal(raw, tmp_path / "small").count("the test split is empty")
    assert not (tmp_path / "small").exists()


def test_names_that_differ_in_capitals_or_kind_only(tmp_path, picture):
    for label in ("a", "b"):
        for name in ("1.png", "1.JPG", "x.png", "X.png", "Y.png", "z z (ü)\n.bmp"):
            picture(tmp_path / "d" / label / name)
    for _ in range(2):
        done = prepare(tmp_path / "d", tmp_path / "small", size=8)
    assert done.made == 0
    made = [p.relative_to(tmp_path / "small") for p in (tmp_path / "small").rglob("*.jpg")]
    assert len({str(path).casefold() for path in made}) == 12


def test_pictures_are_stored_upright(raw, tmp_path):
    image = Image.new("RGB", (64, 64), (255, 0, 0))
    image.paste((0, 0, 255), (0, 32, 64, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # what is stored as the top is to be shown at the right
    image.save(raw / "test_signs" / "0_turned.jpg", exif=exif, quality=95)
    make(raw, tmp_path)
    with Image.open(tmp_path / "small" / "test_signs" / "0_turned.jpg") as small:
        assert not small.getexif()
        pixels = np.asarray(small)
    assert pixels[8, 13, 0] > 200 > 60 > pixels[8, 2, 0]


def test_prepared_and_raw_are_split_alike(raw, tmp_path):
    make(raw, tmp_path)
    data = open_data(raw, size=16)
    prepared = open_data(tmp_path / "small", size=16)
    assert sorted(name.split("/")[1] for name in prepared.val.names) == sorted(
        name.split("/")[1] for name in data.val.names
    )
