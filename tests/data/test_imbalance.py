import pytest

from handsigns.config.sections import Objective
from handsigns.data.imbalance import imbalance_note, rare_classes
from handsigns.data.splits import DataInfo


def test_a_class_is_rare_below_a_tenth_of_the_largest():
    assert rare_classes([100, 10, 9, 0, 50]) == [2]
    assert rare_classes([]) == rare_classes([5, 5]) == []


@pytest.mark.parametrize(
    ("metric", "counts", "noted"),
    [
        ("val_accuracy", (95, 5), True),
        ("val_accuracy", (50, 5), False),
        ("val_loss", (95, 5), False),
        ("val_balanced_accuracy", (95, 5), False),
    ],
)
def test_accuracy_on_imbalanced_classes_is_noted(metric, counts, noted):
    info = DataInfo("folder", "f00d", ("other", "stop"), 64, {"train": counts})
    note = imbalance_note(info, Objective(metric=metric))
    assert bool(note) == noted
    if noted:
        assert note.startswith("class stop has 5 training images, other 95. ")
        assert "an accuracy of 95%" in note
        assert "val_balanced_accuracy" in note
