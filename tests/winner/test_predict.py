"""Which files of a folder are classified, and what is said about them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from handsigns.errors import DataError
from handsigns.winner import inputs
from handsigns.winner.predict import Winner, predict

SIZE = 8


@pytest.fixture
def winner():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2))
    card = SimpleNamespace(size=SIZE, classes=("a", "b"))
    return Winner(model, card, torch.device("cpu"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos" / "@eaDir").mkdir(parents=True)
    for name in ("1.jpg", "2.png", "@eaDir/1.jpg", "._3.jpg"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "photos" / name)
    for name in ("Thumbs.db", "desktop.ini"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    return tmp_path / "photos"


def test_leftovers_of_a_system_are_passed_over(winner, folder):
    expected = [folder / "1.jpg", folder / "2.png"]
    for sources in ([folder], sorted(folder.iterdir())):  # as for photos and photos/*
        found = predict(winner, sources)
        assert [prediction.path for prediction in found.predictions] == expected
        assert (found.unreadable, found.notes) == ((), ())
    with pytest.raises(DataError, match=r"Thumbs\.db was left behind by an operating system"):
        predict(winner, [folder / "Thumbs.db"])
    assert predict(winner, []).predictions == ()


def test_paths_that_no_file_can_have_are_unreadable(winner, folder):
    names = ["n" * 300, "null\0byte"]
    found = predict(winner, [*map(folder.joinpath, names), folder / "1.jpg"])
    assert [bad.name for bad in found.unreadable] == [str(folder / name) for name in names]
    assert len(found.predictions) == 1


def test_urls_are_refused_as_they_were_given(winner):
    with pytest.raises(DataError, match=r"http://x/y\.jpg is a URL; download it"):
        predict(winner, [Path("http://x/y.jpg")])


def test_animations_are_noted_once(winner, folder, monkeypatch):
    monkeypatch.setattr(inputs, "_BATCH_SIZE", 2)
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for number in range(3):
        frames[0].save(folder / f"{number}.gif", save_all=True, append_images=frames[1:])
    (note,) = predict(winner, [folder]).notes
    assert note.startswith("3 of 5 images: only the first frame")
    assert "0.gif" in note


def test_reversed_arrays_are_classified_like_their_copies(winner):
    images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    expected = winner.probabilities(images[..., ::-1].copy())
    assert np.array_equal(winner.probabilities(images[..., ::-1]), expected)
