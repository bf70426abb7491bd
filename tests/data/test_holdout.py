from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.holdout import split_off
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
    remaining, held_out = split_off(images, fraction, seed, "val")
    assert sorted(p.name for p in remaining + held_out) == sorted(p.name for p in images)
    for label, size in enumerate(sizes):
        count = Counter(p.label for p in held_out)[str(label)]
        assert 1 <= count < size
        assert abs(count - fraction * size) <= 1
    shuffled = images.copy()
    rng.shuffle(shuffled)
    held_out_again = split_off(shuffled, fraction, seed, "val")[1]
    assert {p.name for p in held_out_again} == {p.name for p in held_out}


def test_seeds_and_purposes_give_different_splits():
    images = make_images([50, 50])
    splits = [
        frozenset(p.name for p in split_off(images, 0.2, seed, purpose)[1])
        for seed, purpose in ((1, "val"), (2, "val"), (1, "test"))
    ]
    assert len(set(splits)) == 3
