import pytest
import torch

from worldmodel.predictors import ErrorCovariance


def errors(count: int = 1000) -> torch.Tensor:
    """Large along the first direction, small along the second; both together."""
    noise = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    mix = torch.tensor([[3.0, 0.0, 0.0], [1.0, 0.1, 0.0], [0.0, 0.0, 1.0]])
    return noise @ mix


def test_ordinary_errors_count_one_on_average():
    some = errors(100_000)
    assert float(ErrorCovariance.of(some)(some).mean()) == pytest.approx(1.0, abs=0.01)


def test_an_error_counts_by_how_rare_it_is_along_its_direction():
    measured = ErrorCovariance.of(errors())
    often, seldom = measured(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert seldom > 20 * often


def test_it_is_mahalanobis_distance():
    some = errors(100_000).double()
    inverse = torch.linalg.inv(some.T @ some / len(some))
    wanted = torch.einsum("ni,ij,nj->n", some, inverse, some) / 3
    found = ErrorCovariance.of(some)(some.float())
    torch.testing.assert_close(found, wanted.float(), rtol=1e-2, atol=1e-3)


def test_what_is_always_off_by_the_same_is_off():
    shifted = torch.full((100, 3), 5.0) + 1e-3 * errors(100)
    assert float(ErrorCovariance.of(shifted)(torch.zeros(3))) == 0.0


def test_few_errors_are_enough():
    one = ErrorCovariance.of(torch.tensor([[1.0, 0.0, 0.0]]))
    assert one(torch.eye(3)).isfinite().all()


@pytest.mark.parametrize("count", [0, 4])
def test_no_errors_are_refused(count: int):
    with pytest.raises(ValueError, match=f"no errors to measure: {count} of them"):
        ErrorCovariance.of(torch.zeros(count, 3))
