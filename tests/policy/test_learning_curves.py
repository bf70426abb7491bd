"""Model of learning curves: it recovers a known family of curves."""

import numpy as np
import pytest

from handsigns.policy.learning_curves import (
    LearningCurve,
    LearningCurveModel,
    RecordedCurve,
    clip_distance,
    inverse_logit,
    logit,
)

EPOCHS = 12


def true_loss(params):
    floor = np.exp(-2 + 2 * (np.log10(params["learning_rate"]) + 2) ** 2 + params["dropout"])
    return floor + np.exp(-np.arange(EPOCHS) / 3)


@pytest.fixture
def space(make_search_config):
    return make_search_config(
        space={
            "learning_rate": {"type": "log_uniform", "low": 1e-3, "high": 1e-1},
            "dropout": {"type": "uniform", "low": 0.0, "high": 0.6},
            "batch_size": {"type": "choice", "values": [16, 32, 64]},
        }
    ).space


@pytest.fixture
def make_model(space):
    def make(count=80, noise=0.05, seed_noise=float("nan")):
        rng = np.random.default_rng(1)
        recorded = []
        for _ in range(count):
            params = {
                "learning_rate": float(10 ** rng.uniform(-3, -1)),
                "dropout": float(rng.uniform(0, 0.6)),
                "batch_size": int(rng.choice([16, 32, 64])),
            }
            loss = true_loss(params) * np.exp(noise * rng.normal())
            seconds = 640 / params["batch_size"]
            recorded.append(RecordedCurve(params, LearningCurve(loss, np.exp(-loss), seconds)))
        return LearningCurveModel(space, recorded, seed_noise)

    return make


def test_it_predicts_unseen_configurations(make_model):
    model = make_model()
    for learning_rate in (2e-3, 1e-2, 6e-2):
        params = {"learning_rate": learning_rate, "dropout": 0.25, "batch_size": 32}
        curve = model.predict(params)
        np.testing.assert_allclose(curve.loss, true_loss(params), rtol=0.15)
        np.testing.assert_allclose(curve.score, np.exp(-true_loss(params)), atol=0.05)
        assert curve.epoch_seconds == pytest.approx(20, rel=0.05)


def test_an_inactive_hyperparameter_lies_in_the_middle_of_its_range(make_model):
    model, others = make_model(count=20), {"dropout": 0.25, "batch_size": 32}
    middle = model.predict({"learning_rate": 1e-2, **others})
    np.testing.assert_allclose(model.predict(others).loss, middle.loss)


def test_it_states_its_error(make_model):
    assert make_model(noise=0.02).explained_variance > 0.95
    noisy = make_model(noise=0.3)
    assert 0.2 < noisy.residual_std < 0.5, "it is at least the noise of 0.3"


def test_noise_depends_on_the_seed_alone(make_model):
    model = make_model(noise=0.2)
    params = {"learning_rate": 1e-2, "dropout": 0.25, "batch_size": 32}
    losses = [model.predict(params, seed).loss[-1] for seed in range(8)]
    assert len(set(losses)) == 8
    assert losses[3] == model.predict(params, 3).loss[-1]
    assert 0.05 < np.std(np.log(losses)) < 0.5
    assert make_model(noise=0.2, seed_noise=0.0).predict(params, 3).loss[-1] == pytest.approx(
        model.predict(params).loss[-1]
    )


def test_scores_survive_the_logit():
    scores = np.array([0.0, 0.3, 0.98, 1.0])
    np.testing.assert_allclose(inverse_logit(logit(scores)), scores)


def test_scores_of_large_validation_splits_are_not_rounded_to_one():
    clip = clip_distance([1000] * 10)
    scores = np.array([0.0, 0.0001, 0.9995, 0.9999, 1.0])
    np.testing.assert_allclose(inverse_logit(logit(scores, clip), clip), scores)
    assert clip_distance([30] * 10) == clip_distance([]) == 1e-3


def test_predicted_scores_near_one_stay_below_it(space):
    rates = np.geomspace(1e-3, 1e-1, 10)
    params = [{"learning_rate": float(r), "dropout": 0.1, "batch_size": 32} for r in rates]
    curve = LearningCurve(np.full(EPOCHS, 0.01), np.full(EPOCHS, 0.9995), 1.0)
    recorded = [RecordedCurve(p, curve) for p in params]
    model = LearningCurveModel(space, recorded, clip=clip_distance([1000] * 10))
    assert model.predict(params[0]).score[-1] == pytest.approx(0.9995)


def test_curves_that_end_alike_or_at_zero_are_modelled(space):
    params = [
        {"learning_rate": rate, "dropout": 0.1, "batch_size": 32} for rate in (2e-3, 1e-2, 5e-2)
    ]
    curve = LearningCurve(np.zeros(EPOCHS), np.ones(EPOCHS), 1.0)
    model = LearningCurveModel(space, [RecordedCurve(p, curve) for p in params])
    assert model.predict(params[0]).loss[-1] < 1e-5
    assert model.predict(params[0]).score[-1] == 1.0
    assert model.explained_variance <= 1


def test_model_of_scores_states_their_error(space):
    """Losses are noise, scores follow from the learning rate."""
    rng = np.random.default_rng(0)
    recorded = []
    for rate in np.geomspace(1e-3, 1e-1, 40):
        params = {"learning_rate": float(rate), "dropout": 0.1, "batch_size": 32}
        score = np.full(EPOCHS, 0.9 - 0.1 * (np.log10(rate) + 2) ** 2)
        recorded.append(RecordedCurve(params, LearningCurve(rng.uniform(1, 2, EPOCHS), score, 1.0)))
    assert LearningCurveModel(space, recorded, by_score=True).explained_variance > 0.9
    assert LearningCurveModel(space, recorded).explained_variance < 0.5
