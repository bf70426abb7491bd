"""The winner as a classifier of files, arrays and Pillow images."""

import numpy as np
import pytest
from PIL import Image

import handsigns
from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.images import FIRST_FRAME
from handsigns.errors import DataError
from handsigns.io.storage import open_storage
from handsigns.results.paths import SearchPaths
from handsigns.results.sync import RemoteCopy
from handsigns.winner import inputs
from handsigns.winner.predict import load_winner, predict
from tests.support.images import make_split
from tests.support.winners import NAMES, SIZE, random_network, save_winner, trained_network

SPLIT = make_split(24, size=SIZE)


@pytest.fixture(scope="module")
def winner(tmp_path_factory):
    """Winner that classifies the images of SPLIT correctly."""
    config = TrialConfig(channel_width=4)
    network = trained_network(config, SPLIT)
    return load_winner(save_winner(tmp_path_factory.mktemp("one") / "winner", config, network))


@pytest.fixture
def files(tmp_path):
    """Larger images in files."""
    paths = [tmp_path / f"{index}.png" for index in range(len(SPLIT))]
    for path, image in zip(paths, SPLIT.images, strict=True):
        Image.fromarray(image).resize((90, 64)).save(path)
    return paths


def test_it_returns_what_a_classifier_of_scikit_learn_does(winner):
    probs = winner.predict_proba(SPLIT.images)
    assert probs.shape == (24, 3)
    assert probs.dtype.kind == "f"
    assert probs.sum(1) == pytest.approx(np.ones(24), abs=1e-5)
    assert winner.classes_.tolist() == list(NAMES)
    labels = winner.predict(SPLIT.images)
    assert labels.tolist() == [NAMES[label] for label in SPLIT.labels]
    assert labels.tolist() == winner.classes_[probs.argmax(1)].tolist()
    assert np.array_equal(probs, winner.probabilities(SPLIT.images))


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        (SPLIT.images, "ndarray"),
        (Image.new("RGB", (9, 9)), "Image"),
        ([Image.new("L", (9, 9))], "Image"),
    ],
)
def test_the_function_for_files_refuses_images_in_memory(winner, images, kind):
    message = rf"not {kind}; for images in memory use load_winner\(name\)\.predict\(images\)"
    with pytest.raises(DataError, match=message):
        handsigns.predict(winner, images)


def test_user_code_is_trusted_as_the_caller_says(winner, files, monkeypatch):
    def load(paths, *, trust_user_code):
        assert trust_user_code
        return winner

    monkeypatch.setattr("handsigns.workflow.predict.load_winner", load)
    monkeypatch.setattr("handsigns.results.paths.SearchPaths.existing", lambda *_: None)
    assert len(handsigns.predict("one", files[:2], trust_user_code=True)) == 2


def test_a_winner_is_pulled_from_storage_before_it_is_loaded(make_search, tmp_path):
    paths = make_search("one").paths
    (tmp_path / "shared").mkdir()
    storage = open_storage(str(tmp_path / "shared" / "one"))
    RemoteCopy(paths, storage).push()
    elsewhere = SearchPaths.for_name(tmp_path / "elsewhere", "one")
    RemoteCopy(elsewhere, storage).pull()
    config = TrialConfig(channel_width=4)
    save_winner(elsewhere.winner, config, random_network(config))
    RemoteCopy(elsewhere, storage).push()
    winner = handsigns.load_winner("one", results=paths.root.parent)
    assert winner.card.classes == NAMES


def test_notes_on_images_are_printed(winner, tmp_path, capsys):
    first, *later = [Image.fromarray(image) for image in SPLIT.images[:3]]
    first.save(tmp_path / "one.gif", save_all=True, append_images=later)
    assert len(handsigns.predict(winner, tmp_path / "one.gif")) == 1
    assert f"note: 1 of 1 images: {FIRST_FRAME}" in capsys.readouterr().err


def test_files_arrays_and_pillow_images_agree(winner, files):
    expected = winner.predict_proba(files)
    opened = [Image.open(path) for path in files]
    arrays = [np.asarray(image) for image in opened]
    assert np.array_equal(winner.predict_proba(opened), expected)
    assert np.array_equal(winner.predict_proba(arrays), expected)
    assert np.array_equal(winner.predict_proba(np.stack(arrays)), expected)
    assert np.array_equal(winner.predict_proba(map(str, files)), expected)
    mixed = [files[0], opened[1], arrays[2], str(files[3])]
    # In a batch of another size, sums may be added in another order.
    assert np.array_equal(winner.predict_proba(mixed), winner.predict_proba(files[:4]))
    by_file = predict(winner, files).predictions
    assert [list(one.probabilities.values()) for one in by_file] == expected.tolist()
    assert [one.label for one in by_file] == winner.predict(files).tolist()


def test_grey_and_transparent_images_are_converted(winner, tmp_path):
    grey = SPLIT.images[..., 0]
    transparent = np.concatenate([SPLIT.images, np.full((24, SIZE, SIZE, 1), 99, np.uint8)], 3)
    for images in (grey, transparent):
        Image.fromarray(images[0]).save(tmp_path / "one.png")
        expected = winner.predict_proba([tmp_path / "one.png"])
        assert np.array_equal(winner.predict_proba(images[:1]), expected)
        assert np.array_equal(winner.predict_proba([Image.fromarray(images[0])]), expected)


@pytest.mark.parametrize("largest", [255, 4095, 65535])
def test_deep_greyscale_is_scaled_by_its_range_in_any_form(winner, tmp_path, largest):
    values = (SPLIT.images[0][..., 0].astype(float) / SPLIT.images[0].max() * largest).astype("u2")
    Image.fromarray(values).save(tmp_path / "one.tif")
    expected = winner.predict_proba([tmp_path / "one.tif"])
    with Image.open(tmp_path / "one.tif") as image:
        assert np.array_equal(winner.predict_proba([image]), expected)


def test_the_first_frame_of_an_animation_is_classified(winner, tmp_path):
    first, *later = [Image.fromarray(image) for image in SPLIT.images[:3]]
    first.save(tmp_path / "one.webp", save_all=True, append_images=later, lossless=True)
    expected = winner.predict_proba(SPLIT.images[:1])
    assert np.array_equal(winner.predict_proba([tmp_path / "one.webp"]), expected)
    with Image.open(tmp_path / "one.webp") as image:
        assert np.array_equal(winner.predict_proba([image]), expected)


def test_an_image_of_the_user_is_left_as_it_was(winner, files):
    image = Image.open(files[0])
    winner.predict([image])
    assert image.size == (90, 64)
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(files[0])))


def test_images_of_an_iterator_are_read_in_batches(winner, monkeypatch):
    monkeypatch.setattr(inputs, "_BATCH_SIZE", 10)
    read, sizes = [], []

    class Recorder(type(winner)):
        def probabilities(self, images):
            sizes.append((len(images), len(read)))
            return super().probabilities(images)

    recorder = Recorder(winner.model, winner.card, winner.device)
    images = (read.append(None) or image for image in SPLIT.images)
    assert np.array_equal(recorder.predict_proba(images), winner.predict_proba(SPLIT.images))
    assert sizes == [(10, 10), (10, 20), (4, 24)]


def test_no_images_give_an_empty_result(winner):
    assert winner.predict_proba([]).shape == (0, 3)
    assert winner.predict(iter([])).shape == (0,)


def test_each_unusable_image_is_listed(winner, files, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    bad = [files[0], tmp_path / "text.jpg", "missing.png", SPLIT.images[0] / 255, 7, tmp_path]
    with pytest.raises(DataError) as error:
        winner.predict(bad)
    lines = str(error.value).splitlines()
    assert lines[0] == "no usable images:"
    assert [line.split(": ")[0].strip() for line in lines[1:]] == [
        str(tmp_path / "text.jpg"), "missing.png", "image 3", "image 4", str(tmp_path),
    ]  # fmt: skip
    assert "array float64 (32, 32, 3), not uint8 (H, W, 3)" in lines[3]
    assert "int, not a path, Pillow image or NumPy array" in lines[4]


@pytest.mark.parametrize(
    ("single", "remedy"),
    [
        ("photo.jpg", "pass a list of images"),
        (Image.new("RGB", (9, 9)), "pass a list of images"),
        (SPLIT.images[0], r"add a batch dimension \(images\[None\]\)"),
    ],
)
def test_a_single_image_is_refused_with_the_remedy(winner, single, remedy):
    with pytest.raises(DataError, match=f"images is a single .*; {remedy}"):
        winner.predict_proba(single)


def test_one_file_given_twice_is_classified_twice(winner, files):
    assert len(predict(winner, [files[0], files[0]]).predictions) == 2


@pytest.mark.slow
def test_scorers_of_scikit_learn_accept_it(winner):
    pytest.importorskip("sklearn", minversion="1.6")
    from sklearn import metrics

    labels = [NAMES[label] for label in SPLIT.labels]
    labels[0] = NAMES[1]
    assert metrics.get_scorer("accuracy")(winner, SPLIT.images, labels) == 23 / 24
    assert metrics.get_scorer("neg_log_loss")(winner, SPLIT.images, labels) < 0
