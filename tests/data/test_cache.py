import json
import shutil

import numpy as np
import pytest
from PIL import Image

from handsigns.data.cache import CACHE_FORMAT, fingerprint
from handsigns.data.cache_dir import cache_dir
from handsigns.data.dataset import open_data
from handsigns.data.splits import SPLIT_NAMES, Split


def make_splits(*counts):
    rng = np.random.default_rng(0)
    return {
        name: Split(
            rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8),
            np.arange(count, dtype=np.int64) % 2,
            tuple(str(i) for i in range(count)),
        )
        for name, count in zip(SPLIT_NAMES, counts, strict=True)
    }


def test_fingerprint_depends_on_pixels_labels_and_class_names():
    before = fingerprint(make_splits(6, 4, 4), ("a", "b"), 4)
    assert fingerprint(make_splits(6, 4, 4), ("a", "b"), 4) == before
    changed = make_splits(6, 4, 4)
    changed["test"].images[3, 2, 1, 0] ^= 1
    assert fingerprint(changed, ("a", "b"), 4) != before
    changed = make_splits(6, 4, 4)
    changed["val"].labels[0] = 1
    assert fingerprint(changed, ("a", "b"), 4) != before
    assert fingerprint(make_splits(6, 4, 4), ("a", "c"), 4) != before


def test_fingerprint_depends_on_the_split_of_images():
    splits = make_splits(4, 4, 4)
    swapped = splits | {"train": splits["val"], "val": splits["train"]}
    assert fingerprint(swapped, ("a", "b"), 4) != fingerprint(splits, ("a", "b"), 4)


def test_fingerprint_is_independent_of_order_and_file_names():
    splits = make_splits(6, 4, 4)
    reordered = {
        name: Split(s.images[::-1], s.labels[::-1], tuple(f"other {n}" for n in s.names))
        for name, s in splits.items()
    }
    assert fingerprint(reordered, ("a", "b"), 4) == fingerprint(splits, ("a", "b"), 4)


def test_fingerprint_is_independent_of_the_layout(signs_folder, tmp_path):
    for path in signs_folder.glob("*_signs/*.jpg"):
        split, label = path.parent.name.removesuffix("_signs"), path.name[0]
        target = tmp_path / "classes" / split / label / f"{path.stem}.jpeg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    first, second = open_data(signs_folder, size=8), open_data(tmp_path / "classes", size=8)
    assert first.info.fingerprint == second.info.fingerprint


def test_changed_image_of_equal_name_and_size_is_detected(signs_folder):
    path = signs_folder / "val_signs" / "0_IMG_val0.jpg"
    path = path.rename(path.with_suffix(".bmp"))
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    before = open_data(signs_folder, size=8)
    Image.new("RGB", (8, 8), (1, 2, 4)).save(path)
    after = open_data(signs_folder, size=8)
    assert after.info.fingerprint != before.info.fingerprint
    assert after.val.images[0, 0, 0].tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    "change", [{"files": {}}, {"files": []}, {"format": 0}, {"info": {}}], ids=str
)
def test_incomplete_cache_metadata_is_rebuilt(signs_folder, cache, change):
    before = open_data(signs_folder, size=8).info
    (info,) = cache.glob("*/info.json")
    info.write_text(json.dumps(json.loads(info.read_text()) | change))
    assert open_data(signs_folder, size=8).info == before
    assert json.loads(info.read_text())["format"] == CACHE_FORMAT


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HANDSIGNS_CACHE", str(tmp_path / "override"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "override"
    monkeypatch.delenv("HANDSIGNS_CACHE")
    assert cache_dir() == tmp_path / "xdg" / "handsigns"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "handsigns"


def test_user_without_home_folder_has_a_private_cache(monkeypatch, signs_folder, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HANDSIGNS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("handsigns.data.cache.Path.home", no_home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert open_data(signs_folder, size=8).info.notes == ()
    folder = cache_dir().parents[1]
    assert folder.parent == tmp_path / "temporary"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    data = open_data(signs_folder, size=8)
    assert "belongs to another user, and there is no home folder" in data.info.notes[-1]
