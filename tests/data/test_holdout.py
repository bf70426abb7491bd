from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.holdout import loosen, split_off, split_off_missing
from handsigns.data.listing import ImageFile


def make_images(sizes):
    return [
        ImageFile(Path(f"{label}_{i}"), f"{label}_{i}", str(label))
        for label, size in enumerate(sizes)
        for i in range(size)
    ]


@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=6),
    st.sampled_from([0.15, 0.2, 0.5]),
    st.integers(0, 2**32),
    st.randoms(),
)
def test_split_is_disjoint_complete_stratified_and_order_independent(sizes, fraction, seed, rng):
    images = make_images(sizes)
    remaining, held_out = split_off(images, fraction, seed, "val", {})
    assert sorted(p.name for p in remaining + held_out) == sorted(p.name for p in images)
    for label, size in enumerate(sizes):
        count = Counter(p.label for p in held_out)[str(label)]
        assert 1 <= count < size
        assert abs(count - fraction * size) <= 1
    shuffled = images.copy()
    rng.shuffle(shuffled)
    held_out_again = split_off(shuffled, fraction, seed, "val", {})[1]
    assert {p.name for p in held_out_again} == {p.name for p in held_out}


def test_seeds_and_purposes_give_different_splits():
    images = make_images([50, 50])
    splits = [
        frozenset(p.name for p in split_off(images, 0.2, seed, purpose, {})[1])
        for seed, purpose in ((1, "val"), (2, "val"), (1, "test"))
    ]
    assert len(set(splits)) == 3


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), min_size=6, max_size=80),
    st.sampled_from([0.15, 0.2]),
    st.integers(0, 99),
)
def test_groups_are_never_separated(pairs, fraction, seed):
    images = [ImageFile(Path(str(i)), str(i), str(label)) for i, (label, _) in enumerate(pairs)]
    groups = {str(i): group for i, (_, group) in enumerate(pairs)}
    remaining, held_out = split_off(images, fraction, seed, "val", groups)
    assert len(remaining) + len(held_out) == len(images)
    assert not {groups[p.name] for p in remaining} & {groups[p.name] for p in held_out}
    assert {p.label for p in remaining} == {p.label for p in images}, "no class is used up"


def test_deviations_from_stratification_are_reported():
    images = make_images([20, 20])
    groups = {p.name: 0 if i < 8 else 1 if i < 20 else 100 + i for i, p in enumerate(images)}
    splits, notes = split_off_missing({"train": images, "test": []}, 1, groups)
    assert len({groups[p.name] for p in splits["val"] if p.label == "0"}) == 1
    assert "(stratified by class, seed 1, groups kept together)" in notes[0]
    assert notes[1] == (
        "val deviates from stratification to keep groups together: 0 8 instead of 4"
    )


def test_near_duplicates_that_fill_a_class_are_separated():
    images = {"train": make_images([20, 20])}
    groups = {p.name: 0 if p.label == "0" else 1 + i for i, p in enumerate(images["train"])}
    loose, notes = loosen(images, groups)
    assert not any(p.name in loose for p in images["train"] if p.label == "0")
    assert all(p.name in loose for p in images["train"] if p.label == "1")
    assert notes == [
        "the 20 training images of class 0 are 1 group of near-duplicates, too few to keep them "
        "together"
    ]


@given(st.integers(2, 8), st.integers(2, 60), st.integers(0, 99))
def test_a_large_group_leaves_images_for_both_splits(singles, burst, seed):
    """A film and some photographs of the same class, of which test alone could take all."""
    images = make_images([singles + burst, 20])
    groups = {p.name: 0 for p in images[:burst]}
    splits, _ = split_off_missing({"train": images}, seed, groups)
    for split in splits.values():
        assert {p.label for p in split} == {"0", "1"}
    assert sum(p.name in groups for p in splits["train"]) in (0, burst)
