import pytest
import torch

from worldmodel.encoders.points import FeaturePoints


def _one_feature(sharp: float) -> FeaturePoints:
    points = FeaturePoints(cell_dim=2, points=1, dim=4)
    with torch.no_grad():
        points.score.weight.copy_(torch.tensor([[sharp, 0.0]]))
        points.score.bias.zero_()
    return points


def test_a_point_lies_where_its_feature_is():
    cells = torch.zeros(3, 5, 9, 2)
    for clip, (row, column) in enumerate(((0, 0), (2, 4), (4, 8))):
        cells[clip, row, column, 0] = 1.0
    found = _one_feature(100.0).places(cells)[:, 0, :2]
    expected = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(found, expected)


def test_a_point_lies_between_two_cells_that_share_a_feature():
    cells = torch.zeros(1, 3, 3, 2)
    cells[0, 1, 1:, 0] = 1.0
    found = _one_feature(100.0).places(cells)[0, 0, :2]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.5]))


def test_more_of_a_feature_is_a_larger_amount():
    less, more = torch.zeros(1, 4, 4, 2), torch.zeros(1, 4, 4, 2)
    less[0, 0, 0, 0] = 1.0
    more[0, :2, :2, 0] = 1.0
    points = _one_feature(3.0)
    assert points.places(more)[0, 0, 2] > points.places(less)[0, 0, 2]


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        FeaturePoints(cell_dim=2, points=0, dim=4)
