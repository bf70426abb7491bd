from handsigns.stats.pareto import pareto_front


def test_dominated_and_equal_points_are_left_out():
    points = [(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.8), (2, 0.8), (4, 0.9), (5, 0.95)]
    assert pareto_front(points) == [1, 3, 0, 6]


def test_no_points_have_no_front():
    assert pareto_front([]) == []
