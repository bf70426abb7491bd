"""Images that do not fit in memory are kept in files; the results are the same."""

import shutil

import numpy as np
import pytest

from handsigns.data import buffers
from handsigns.data.buffers import allocate_images
from handsigns.data.dataset import open_data
from handsigns.data.folds import Fold, concat_splits
from handsigns.errors import DataError
from handsigns.io.output_marker import MARKER


@pytest.fixture
def few_bytes(monkeypatch):
    monkeypatch.setattr(buffers, "MAX_ANONYMOUS_BYTES", 1000)


def is_file(images):
    while isinstance(images, np.ndarray):
        if isinstance(images, np.memmap):
            return True
        images = images.base
    return False


def test_many_images_are_in_a_file_without_a_name(few_bytes, cache):
    images = allocate_images(10, 16)
    images[:] = 7
    assert is_file(images)
    assert not is_file(allocate_images(1, 16))
    assert [path.name for path in cache.iterdir()] == [MARKER]


def test_without_a_cache_folder_images_are_in_memory(few_bytes, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("HANDSIGNS_CACHE", str(blocked))
    assert not is_file(allocate_images(10, 16))


def test_a_data_set_in_files_equals_one_in_memory(class_folder, cache, monkeypatch, few_bytes):
    in_files = open_data(class_folder, size=16)
    monkeypatch.setattr(buffers, "MAX_ANONYMOUS_BYTES", 10**9)
    monkeypatch.setenv("HANDSIGNS_CACHE", str(cache / "other"))
    in_memory = open_data(class_folder, size=16)
    assert in_files.info == in_memory.info
    assert in_files.check == in_memory.check
    np.testing.assert_array_equal(in_files.train.images, in_memory.train.images)


def test_folds_in_files_equal_folds_in_memory(make_split, few_bytes, cache, monkeypatch):
    splits = make_split(700, seed=1), make_split(300, seed=2)
    in_files = [concat_splits(*splits), *Fold(1, 3, 0).hold_out(*splits)]
    monkeypatch.setattr(buffers, "MAX_ANONYMOUS_BYTES", 10**9)
    in_memory = [concat_splits(*splits), *Fold(1, 3, 0).hold_out(*splits)]
    for mapped, plain in zip(in_files, in_memory, strict=True):
        assert is_file(mapped.images)
        assert not is_file(plain.images)
        assert mapped.names == plain.names
        np.testing.assert_array_equal(mapped.images, plain.images)
        np.testing.assert_array_equal(mapped.labels, plain.labels)


def test_a_process_maps_a_split_once(class_folder, cache):
    data = open_data(class_folder, size=16)
    train, val = data.split_files
    assert train.open() is train.open()
    np.testing.assert_array_equal(val.open().images, data.val.images)
    assert not train.open().images.flags.writeable


def test_removed_images_are_reported(class_folder, cache):
    train, _ = open_data(class_folder, size=16).split_files
    shutil.rmtree(cache)
    with pytest.raises(DataError, match="were removed while they were used; resume"):
        train.open()
