from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.holdout import carve
from handsigns.data.layouts import Picture


def pictures(sizes):
    return [
        Picture(Path(f"{label}_{i}"), f"{label}_{i}", str(label))
        for label, size in enumerate(sizes)
        for i in range(size)
    ]


@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=6),
    st.sampled_from([0.15, 0.2, 0.5]),
    st.integers(0, 2**32),
    st.randoms(),
)
def test_disjoint_complete_stratified_and_independent_of_order(sizes, share, seed, random):
    every = pictures(sizes)
    stay, carved = carve(every, share, seed, "val")
    assert sorted(p.name for p in stay + carved) == sorted(p.name for p in every)
    for label, size in enumerate(sizes):
        count = Counter(p.label for p in carved)[str(label)]
        assert 1 <= count < size
        assert abs(count - share * size) <= 1
    shuffled = every.copy()
    random.shuffle(shuffled)
    assert {p.name for p in carve(shuffled, share, seed, "val")[1]} == {p.name for p in carved}


def test_seeds_and_purposes_draw_differently():
    every = pictures([50, 50])
    draws = [
        frozenset(p.name for p in carve(every, 0.2, seed, purpose)[1])
        for seed, purpose in ((1, "val"), (2, "val"), (1, "test"))
    ]
    assert len(set(draws)) == 3
