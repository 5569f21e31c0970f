"""The predictor of all patch tokens: one function, however it is computed."""

from typing import Any

import pytest
import torch

from worldmodel.errors import WorldModelError
from worldmodel.predictors import PatchPredictor, PatchPredictorSpec

B, N, H, P, D, A, S = 2, 3, 3, 6, 5, 2, 4


def predictor(**changes) -> PatchPredictor:
    settings = {
        "rows": 2,
        "columns": 3,
        "token_dim": D,
        "action_size": A,
        "state_size": S,
        "width": 24,
        "depth": 2,
        "heads": 2,
        "hidden": 16,
        "extrinsics_size": 0,
        "window": 3,
        "frames": 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = PatchPredictor(PatchPredictorSpec(**{**settings, **changes}))
    return made.double().requires_grad_(False).eval()


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("past", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("state", [0, S])
@pytest.mark.parametrize("window", [1, 3, None])
def test_the_cached_rollout_is_the_uncached_one(past, depth, state, window):
    # Deeper, what lies beyond the window reaches through frames that are within it.
    made = predictor(depth=depth, state_size=state, window=window)
    latents, taken = gaussian(B, past, P, D), gaussian(B, past - 1, A, seed=1)
    actions = gaussian(B, N, H, A, seed=2)
    states = gaussian(B, past, S, seed=3) if state else None
    planned = gaussian(B, N, H - 1, S, seed=4) if state else None
    future = made.rollout(latents, taken, actions, states, planned)
    assert future.shape == (B, N, H, P, D)
    for n in range(N):
        seen, done = latents, taken
        for step in range(H):
            done = torch.cat((done, actions[:, n, step : step + 1]), dim=1)
            known = None
            if states is not None and planned is not None:
                known = torch.cat((states, planned[:, n, :step]), dim=1)
            after = made(seen, done, known)[:, -1:].double()
            seen = torch.cat((seen, after), dim=1)
        torch.testing.assert_close(
            future[:, n].double(), seen[:, past:], rtol=0, atol=1e-5
        )


def test_a_frame_sees_all_of_itself_and_of_those_before_and_nothing_later():
    made = predictor()
    latents, actions, states = (
        gaussian(1, 4, P, D),
        gaussian(1, 4, A),
        gaussian(1, 4, S),
    )
    before = made(latents, actions, states)
    changed = latents.clone()
    changed[:, 2, -1] += 1.0  # the last patch of the third frame
    moved = (made(changed, actions, states) - before).abs().amax(dim=(0, 3))  # (T, P)
    assert (moved[:2] == 0).all()
    assert (moved[2:] > 0).all()


def test_where_patches_are_counts_and_so_does_when():
    made = predictor()
    latents, actions, states = (
        gaussian(1, 6, P, D),
        gaussian(1, 6, A),
        gaussian(1, 6, S),
    )
    whole = made(latents, actions, states)[:, -1]
    swapped = made(latents.flip(2), actions, states)[:, -1].flip(1)
    assert (swapped - whole).abs().max() > 1e-3
    # As published, positions are no rotation: not their differences alone count.
    reach = slice(6 - 5, 6)  # depth * (window - 1) + 1 frames
    cut = made(latents[:, reach], actions[:, reach], states[:, reach])[:, -1]
    assert (cut - whole).abs().max() > 1e-4


def test_predictions_have_mean_0_and_variance_1():
    made = predictor()
    tokens = made(gaussian(B, 2, P, D), gaussian(B, 2, A), gaussian(B, 2, S))
    assert tokens.mean(-1).abs().max() < 1e-5
    torch.testing.assert_close(
        tokens.square().mean(-1), torch.ones(B, 2, P), rtol=0, atol=1e-3
    )


def test_states_are_given_where_the_spec_has_them():
    with pytest.raises(WorldModelError, match=r"states must be \(1, 1, 4\), got None"):
        predictor()(gaussian(1, 1, P, D), gaussian(1, 1, A))
    with pytest.raises(WorldModelError, match="must be None where state_size is 0"):
        predictor(state_size=0)(
            gaussian(1, 1, P, D), gaussian(1, 1, A), gaussian(1, 1, S)
        )


def test_more_frames_than_the_mask_covers_are_refused():
    made = predictor(state_size=0)
    film = gaussian(1, 9, P, D), gaussian(1, 9, A)
    assert made(*(part[:, :8] for part in film)).shape == (1, 8, P, D)
    with pytest.raises(WorldModelError, match="must be 1 to 8, got 9: positions count"):
        made(*film)
    past = film[0][:, :6], film[1][:, :5]
    assert made.rollout(*past, gaussian(1, N, 3, A)).shape == (1, N, 3, P, D)
    with pytest.raises(WorldModelError, match="1 to 8, got 9.*plan fewer steps"):
        made.rollout(*past, gaussian(1, N, 4, A))


def test_a_rollout_is_differentiable_in_its_actions():
    actions = gaussian(1, N, H, A).requires_grad_()
    made = predictor(state_size=0)
    made.rollout(gaussian(1, 1, P, D), gaussian(1, 0, A), actions)[:, :, -1].square()[
        ..., 0
    ].sum().backward()
    assert actions.grad is not None
    assert (actions.grad.abs().amax(dim=(0, 1, 3)) > 0).all()


def test_the_published_size():
    with torch.device("meta"):
        made = PatchPredictor(PatchPredictorSpec())
        tokens = made(
            torch.zeros(1, 2, 256, 1408), torch.zeros(1, 2, 7), torch.zeros(1, 2, 7)
        )
    shapes = {name: tuple(t.shape) for name, t in made.state_dict().items()}
    assert len(shapes) == 300
    assert sum(p.numel() for p in made.parameters()) == 305_220_992
    assert tokens.shape == (1, 2, 256, 1408)
    assert shapes["predictor_embed.weight"] == (1024, 1408)
    assert shapes["predictor_proj.weight"] == (1408, 1024)
    assert shapes["action_encoder.weight"] == (1024, 7)
    assert shapes["state_encoder.weight"] == (1024, 7)
    assert shapes["extrinsics_encoder.weight"] == (1024, 6)
    assert shapes["predictor_blocks.23.attn.qkv.weight"] == (3072, 1024)
    assert shapes["predictor_blocks.23.mlp.fc1.weight"] == (4096, 1024)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents": (B, 2, P + 1, D)}, r"latents must be \(2, 2, 6, 5\), got"),
        ({"latents": (2, P, D)}, r"latents must be \(B, T, P, D\)"),
        (
            {"past_actions": (B, 2, A)},
            r"past_actions must be \(2, 1, 2\), got \(2, 2, 2",
        ),
        ({"states": (B, 1, S)}, r"states must be \(2, 2, 4\), got \(2, 1, 4\)"),
        ({"states": None}, r"states must be \(2, 2, 4\), got None"),
        (
            {"planned": (B, N, 1, S)},
            r"planned must be \(2, 3, 2, 4\), got \(2, 3, 1, 4",
        ),
        ({"latents": (B, 0, P, D)}, r"latents must be \(2, 1, 6, 5\), got \(2, 0, 6"),
        (
            {"actions": (B, N, 1, A)},
            r"planned must be \(2, 3, 0, 4\), got \(2, 3, 2, 4",
        ),
        ({"planned": None}, r"planned must be \(2, 3, 2, 4\), got None"),
    ],
)
def test_a_rollout_names_what_does_not_fit(changes, message):
    shapes = {
        "latents": (B, 2, P, D),
        "past_actions": (B, 1, A),
        "actions": (B, N, H, A),
        "states": (B, 2, S),
        "planned": (B, N, H - 1, S),
    }
    given: dict[str, Any] = {
        name: None if shape is None else torch.zeros(shape, dtype=torch.float64)
        for name, shape in {**shapes, **changes}.items()
    }
    with pytest.raises(ValueError, match=message):
        predictor().rollout(**given)
    with pytest.raises(ValueError, match="must be None where state_size is 0"):
        predictor(state_size=0).rollout(
            *(torch.zeros(shape) for shape in list(shapes.values())[:4])
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head_width": 5}, r"head_width .* must be even and at least 6, .* got 5"),
        ({"width": 16, "heads": 4}, "head_width .* must be even and .* got 4"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"state_size": -1}, "state_size must be at least 0, got -1"),
        ({"heads": 5}, "width must be a multiple of heads=5, got 1024"),
    ],
)
def test_a_spec_names_what_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        PatchPredictorSpec(**settings)
