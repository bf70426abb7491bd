"""State of a search, from its journal, lock and winner."""

import dataclasses

from handsigns.monitor.watch import WatchedSearch
from handsigns.reporting.next_steps import headline
from handsigns.results.journal import Journal
from handsigns.results.search_lock import search_lock
from handsigns.results.search_state import read_search_state
from handsigns.results.store import open_search
from handsigns.results.trial import Session
from handsigns.results.winner import read_model_card, write_model_card
from handsigns.workflow.next_step import next_step


def test_phase_follows_journal_and_lock(make_search):
    search = make_search(trials=4, end=False)
    assert read_search_state(search).phase == "interrupted"
    with search_lock(search.paths):
        assert read_search_state(search).phase == "running"
    finished = make_search("other", trials=4)
    with search_lock(finished.paths):
        state = read_search_state(finished)
    assert (state.phase, bool(state.lock_owner)) == ("finished", True)


def test_headline_counts_finished_trials_as_watch_does(make_search):
    search = make_search(trials=6, end=False)
    status = WatchedSearch(search.paths).status()
    assert status.status_counts["paused"] > 0
    text = headline(search, "interrupted")
    assert f"with {status.num_finished} of 6 trials finished" in text


def test_an_interrupted_extension_can_be_resumed(make_search):
    search = make_search(trials=4)
    journal = Journal(search.paths.journal, writable=True)
    journal.start_session(Session(search.data.info.fingerprint, {}))
    journal.end_session("interrupted by the user", interrupted=True)
    journal.close()
    assert read_search_state(open_search(search.paths)).phase == "interrupted"


def test_a_winner_that_is_no_longer_best_is_outdated(make_search, add_scripted_winner):
    search = make_search(trials=4)
    assert read_search_state(search).winner == "missing"
    add_scripted_winner(search)
    assert read_search_state(search).winner == "retrained"
    folder = search.paths.winner
    other = dataclasses.replace(read_model_card(folder), trial_id=search.ranked[1].trial_id)
    write_model_card(folder, other)
    assert read_search_state(search).winner == "outdated"
    assert next_step(search).startswith("retrain the best trial: ")
    write_model_card(folder, dataclasses.replace(other, selected_by="smallest"))
    assert read_search_state(search).winner == "retrained"
    (folder / "config.yaml").write_text("[")
    assert read_search_state(search).winner == "damaged"


def test_a_damaged_plan_leaves_the_reevaluation_unfinished(make_search):
    search = make_search(trials=4)
    assert read_search_state(search).reevaluation_finished
    search.paths.reevaluation.root.mkdir()
    search.paths.reevaluation.plan.write_text("[")
    assert not read_search_state(open_search(search.paths)).reevaluation_finished
