import json
import shutil

import numpy as np
import pytest
from PIL import Image

from handsigns.data import cache as pack
from handsigns.data.dataset import open_data
from handsigns.data.splits import SPLIT_NAMES, Split


def splits_of(*counts):
    rng = np.random.default_rng(0)
    return {
        name: Split(
            rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8),
            np.arange(count, dtype=np.int64) % 2,
            tuple(str(i) for i in range(count)),
        )
        for name, count in zip(SPLIT_NAMES, counts, strict=True)
    }


def test_one_pixel_label_or_class_name_changes_the_fingerprint():
    before = pack.fingerprint(splits_of(6, 4, 4), ("a", "b"), 4)
    assert pack.fingerprint(splits_of(6, 4, 4), ("a", "b"), 4) == before
    changed = splits_of(6, 4, 4)
    changed["test"].images[3, 2, 1, 0] ^= 1
    assert pack.fingerprint(changed, ("a", "b"), 4) != before
    changed = splits_of(6, 4, 4)
    changed["val"].labels[0] = 1
    assert pack.fingerprint(changed, ("a", "b"), 4) != before
    assert pack.fingerprint(splits_of(6, 4, 4), ("a", "c"), 4) != before


def test_pictures_that_change_their_split_change_the_fingerprint():
    splits = splits_of(4, 4, 4)
    swapped = splits | {"train": splits["val"], "val": splits["train"]}
    assert pack.fingerprint(swapped, ("a", "b"), 4) != pack.fingerprint(splits, ("a", "b"), 4)


def test_order_and_names_do_not_matter_to_the_fingerprint():
    splits = splits_of(6, 4, 4)
    turned = {
        name: Split(s.images[::-1], s.labels[::-1], tuple(f"other {n}" for n in s.names))
        for name, s in splits.items()
    }
    assert pack.fingerprint(turned, ("a", "b"), 4) == pack.fingerprint(splits, ("a", "b"), 4)


def test_the_layout_does_not_matter_to_the_fingerprint(signs_folder, tmp_path):
    for path in signs_folder.glob("*_signs/*.jpg"):
        split, label = path.parent.name.removesuffix("_signs"), path.name[0]
        target = tmp_path / "classes" / split / label / f"{path.stem}.jpeg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    first, second = open_data(signs_folder, size=8), open_data(tmp_path / "classes", size=8)
    assert first.info.fingerprint == second.info.fingerprint


def test_a_changed_image_of_equal_name_and_size_is_noticed(signs_folder):
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
def test_an_info_file_that_says_less_is_not_believed(signs_folder, cache, change):
    before = open_data(signs_folder, size=8).info
    (info,) = cache.glob("*/info.json")
    info.write_text(json.dumps(json.loads(info.read_text()) | change))
    assert open_data(signs_folder, size=8).info == before
    assert json.loads(info.read_text())["format"] == pack.FORMAT


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HANDSIGNS_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert pack.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("HANDSIGNS_CACHE")
    assert pack.cache_folder() == tmp_path / "xdg" / "handsigns"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pack.cache_folder() == tmp_path / ".cache" / "handsigns"


def test_a_user_without_a_home_has_a_private_cache(monkeypatch, signs_folder, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HANDSIGNS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pack.Path, "home", no_home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert open_data(signs_folder, size=8).info.notes == ()
    folder = pack.cache_folder().parents[1]
    assert folder.parent == tmp_path / "temporary"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    data = open_data(signs_folder, size=8)
    assert "belongs to another user, and there is no home folder" in data.info.notes[-1]
