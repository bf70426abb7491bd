"""What the searcher hands to Ray, without Ray."""

import contextlib

import pytest

from handsigns.policy.promotion import PromotionASHA
from handsigns.policy.sampler import Sampler
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.trial import Placement, TrialSpec
from handsigns.tuning.searcher import JournalSearcher
from tests.support.records import make_epoch_metrics

MAX_EPOCHS = 9
HERE = Placement("laptop/1", "cpu", 1)
SPACE = {
    "learning_rate": {"type": "choice", "values": [0.01, 0.02, 0.03]},
    "dropout": {"type": "choice", "values": [0.1, 0.2]},
    "batch_size": 32,
}


@pytest.fixture
def journal(tmp_path):
    with contextlib.closing(Journal(tmp_path / "journal.jsonl", writable=True)) as journal:
        yield journal


def test_one_worker_completes_the_best_trial_of_an_exhausted_space(make_search_config, journal):
    config = make_search_config(
        space=SPACE,
        budget={"trials": 20, "max_epochs": MAX_EPOCHS},
        scheduler={"name": "asha_promotion", "grace_period": 1, "reduction_factor": 3},
    )
    source, rule = Sampler(config), PromotionASHA(config)
    searcher = JournalSearcher(source, rule, journal, StoppingCriteria(config), [], lambda: 1)
    while isinstance(suggested := searcher.suggest("ray"), dict):
        spec = TrialSpec.from_dict(suggested)
        train(spec, source, rule, journal)
        searcher.on_trial_complete("ray")
    assert len(journal) == 6, "every configuration"
    (best,) = (record for record in journal.records if record.status == "completed")
    assert best.config.learning_rate == 0.01


def train(spec, source, rule, journal):
    """Train a trial until it pauses or completes; the lowest learning rate is best."""
    for epoch in range(len(journal[spec.trial_id].epochs) + 1, MAX_EPOCHS + 1):
        metrics = make_epoch_metrics(epoch, spec.config.learning_rate + 1 / epoch)
        action, verdict = rule.decide(spec.trial_id, metrics)
        journal.report_epoch(spec.trial_id, metrics, HERE, verdict)
        if action == "pause":
            source.on_trial_pause(journal[spec.trial_id], epoch)
            return
    source.on_trial_complete(journal.end_trial(spec.trial_id, "completed"))
