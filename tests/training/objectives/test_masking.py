import pytest
import torch

from worldmodel.encoders.rope import Grid
from worldmodel.training.objectives.masking import (
    LaterMasks,
    MixedMasks,
    TubeMasks,
    choose,
)

GRID = Grid(3, 8, 8)
SAMPLERS = [TubeMasks(), LaterMasks()]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_context_and_target_are_disjoint_and_cover_the_clip(sampler):
    masks = sampler.sample(5, GRID, seeded())
    both = torch.cat((masks.context, masks.target), dim=1)
    expected = torch.arange(GRID.tokens).expand(5, -1)
    assert torch.equal(both.sort(dim=1).values, expected)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_masks_follow_from_the_seed(sampler):
    sampler = type(sampler)(targets=20)
    first, again, other = (sampler.sample(4, GRID, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first.target, again.target)
    assert torch.equal(first.context, again.context)
    assert not torch.equal(first.target, other.target)


def test_tubes_hide_the_same_patches_in_every_tubelet():
    target = TubeMasks(hidden=0.5).sample(4, GRID, seeded()).target
    tubes = target.view(4, GRID.time, 32)
    for t in range(GRID.time):
        assert torch.equal(tubes[:, t], tubes[:, 0] + t * GRID.patches)


def test_hidden_patches_form_blocks():
    masks = TubeMasks(hidden=0.5, blocks=1).sample(200, Grid(1, 8, 8), seeded())
    hidden = torch.zeros(200, 64).scatter(1, masks.target, 1.0).view(200, 8, 8)
    rows, columns = hidden.amax(2).sum(1), hidden.amax(1).sum(1)
    box = rows * columns  # patches of the bounding box: 32 where the block is full
    assert box.mean() < 40
    assert (hidden.mean(0) > 0.1).all()  # places differ


def test_aspect_is_height_over_width():
    def extent(aspect: float) -> tuple[float, float]:
        sampler = TubeMasks(hidden=0.125, blocks=1, aspect=(aspect, aspect))
        masks = sampler.sample(200, Grid(1, 16, 16), seeded())
        hidden = torch.zeros(200, 256).scatter(1, masks.target, 1.0).view(200, 16, 16)
        return hidden.amax(2).sum(1).median().item(), hidden.amax(1).sum(
            1
        ).median().item()

    rows, columns = extent(4.0)
    assert rows > 2.5 * columns
    assert extent(0.25) == pytest.approx((columns, rows), abs=2)


@pytest.mark.parametrize("hidden", [0.001, 0.3, 0.999])
def test_both_sides_keep_at_least_a_patch(hidden: float):
    masks = TubeMasks(hidden=hidden).sample(2, GRID, seeded())
    patches = min(max(round(hidden * 64), 1), 63)
    assert masks.target.shape == (2, 3 * patches)
    assert masks.context.shape == (2, 3 * (64 - patches))


def test_later_masks_show_the_first_tubelets_and_ask_for_later_ones():
    masks = LaterMasks(seen=2, targets=10).sample(4, GRID, seeded())
    assert torch.equal(masks.context, torch.arange(128).expand(4, -1))
    assert masks.target.shape == (4, 10)
    assert masks.target.min() >= 128


def test_targets_are_drawn_where_the_weights_are():
    weights = torch.full((6, GRID.tokens), 1e-6)
    weights[:, 70:80] = 1.0
    masks = LaterMasks(targets=10).sample(6, GRID, seeded(), weights)
    assert torch.equal(masks.target, torch.arange(70, 80).expand(6, -1))


def test_tube_targets_are_drawn_where_the_weights_are():
    weights = torch.full((6, GRID.tokens), 1e-9)
    weights[:, 128:] = 1.0  # the last tubelet
    masks = TubeMasks(targets=10).sample(6, GRID, seeded(), weights)
    assert masks.target.min() >= 128


def test_blocks_are_drawn_toward_the_weights():
    weights = torch.full((50, GRID.tokens), 1e-6)
    weights[:, 27] = 1.0
    masks = TubeMasks(hidden=0.2).sample(50, GRID, seeded(), weights)
    assert (masks.target == 27).any(dim=1).all()


def test_drawing_is_in_proportion_to_the_weights():
    weights = torch.tensor([1.0, 3.0, 0.0]).expand(20_000, -1)
    candidates = torch.arange(3).expand(20_000, -1)
    drawn = choose(candidates, weights, 1, seeded())
    counts = torch.bincount(drawn.flatten(), minlength=3) / 20_000
    torch.testing.assert_close(
        counts, torch.tensor([0.25, 0.75, 0.0]), rtol=0, atol=0.015
    )


def test_weightless_tokens_are_drawn_only_when_nothing_else_is_left():
    weights = torch.tensor([[0.0, 1e-4, 0.0, 1e-4]]).expand(30, -1)
    candidates = torch.arange(4).expand(30, -1)
    drawn = choose(candidates, weights, 3, seeded())
    for token in (1, 3):
        assert (drawn == token).any(dim=1).all()


def test_a_still_clip_without_any_weight_is_masked_uniformly():
    weights = torch.zeros(3, GRID.tokens)
    masks = TubeMasks(targets=12).sample(3, GRID, seeded(), weights)
    assert masks.target.shape == (3, 12)


def test_mixed_masks_skip_samplers_that_do_not_fit():
    mixed = MixedMasks((TubeMasks(hidden=0.5), LaterMasks()), (1.0, 1.0))
    generator = seeded()
    sizes = {mixed.sample(2, GRID, generator).context.shape[1] for _ in range(30)}
    assert sizes == {96, 64}
    still = Grid(1, 8, 8)
    sizes = {mixed.sample(2, still, generator).context.shape[1] for _ in range(30)}
    assert sizes == {32}


def test_impossible_masks_are_named():
    with pytest.raises(ValueError, match=r"hidden must be in \(0, 1\), got 1.0"):
        TubeMasks(hidden=1.0)
    with pytest.raises(ValueError, match="more than seen=3 tubelets, got 3"):
        LaterMasks(seen=3).sample(2, GRID, seeded())
    with pytest.raises(ValueError, match=r"\[1, hidden tokens=128\], got 200"):
        LaterMasks(targets=200).sample(2, GRID, seeded())
    with pytest.raises(ValueError, match=r"weights must be \(B=2, tokens=192\)"):
        TubeMasks().sample(2, GRID, seeded(), torch.ones(2, 64))
    with pytest.raises(ValueError, match="finite and not negative"):
        TubeMasks().sample(2, GRID, seeded(), torch.full((2, 192), torch.nan))
    with pytest.raises(ValueError, match="no mask sampler fits"):
        MixedMasks((LaterMasks(),), (1.0,)).sample(2, Grid(1, 8, 8), seeded())
    with pytest.raises(ValueError, match="one positive number for each of 1"):
        MixedMasks((LaterMasks(),), (1.0, 2.0))
