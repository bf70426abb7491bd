import json

import numpy as np
import pytest
from PIL import Image

from handsigns.data import prepare as preparing
from handsigns.data.open import open_data
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
    with pytest.raises(DataError, match="its name does not begin with a label"):
        make(raw, tmp_path)
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
