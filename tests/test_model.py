import json
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
from worldmodel.checkpoints.checkpoint import CONFIG_FILE, TENSORS_FILE, weights_hash
from worldmodel.checkpoints.encoders import load_encoder, load_projector, save_encoder
from worldmodel.costs.distances import LearnedSpec, TemporalDistanceSpec
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.errors import CheckpointError
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.policy_prior import PolicyPriorSpec
from worldmodel.predictors import ActionPredictorSpec, ErrorCovariance
from worldmodel.projectors.projector import Projector, ProjectorSpec

ENCODER = VideoViTSpec(16, 16, patch=8, dim=12, depth=1, heads=2, cell_dim=4)
SPEC = WorldModelSpec(
    encoder=ENCODER,
    projector=ProjectorSpec(patches=4, token_dim=12, reduced=4, hidden=8, dim=6),
    predictor=ActionPredictorSpec(latent_dim=6, width=16, depth=2, heads=2),
    action_spec=ActionSpec.from_json(ACTION_SPEC),
    distances=LearnedSpec(
        TemporalDistanceSpec(GoalProjectionSpec(latent_dim=6), hidden=8), proprio=2
    ),
    policy_prior=PolicyPriorSpec(
        GoalProjectionSpec(latent_dim=6, state_dim=3, goal_dim=1), hidden=8
    ),
    proprio_correction=2,
    proprio_estimator=ProjectorSpec(
        patches=4, token_dim=12, reduced=4, hidden=8, dim=2
    ),
    cost=GoalCost(temporal=0.5, running=0.1),
)


def model(seed: int = 0) -> WorldModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return WorldModel(SPEC, {"dataset": "toy"}).eval()


def frames(time: int = 4, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, time, 16, 16, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def uniform(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model().save_pretrained(tmp_path / "model", "# Toy\n")
    return tmp_path / "model"


def rewrite(folder: Path, tensors: dict | None = None, **changes: object) -> None:
    """Changes a checkpoint as a careful forger would: the file's hash fits."""
    if tensors is not None:
        save_file(tensors, folder / TENSORS_FILE)
    config = json.loads((folder / CONFIG_FILE).read_text())
    found = weights_hash(load_file(folder / TENSORS_FILE))
    config = {**config, "weights_hash": found, **changes}
    (folder / CONFIG_FILE).write_text(json.dumps(config))


@torch.no_grad()
def test_what_is_loaded_is_bitwise_what_was_saved(saved: Path):
    loaded, original = WorldModel.from_pretrained(saved), model()
    assert loaded.spec == original.spec
    assert loaded.history == {"dataset": "toy"}
    assert weights_hash(loaded) == weights_hash(original)
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    latents = loaded.encode(frames())
    assert torch.equal(latents, original.encode(frames()))
    actions, candidates = uniform(2, 3, 5), uniform(2, 3, 4, 5)
    futures = [
        each.predict(each.context(latents, actions), candidates)
        for each in (loaded, original)
    ]
    torch.testing.assert_close(*futures)  # MKL rounds with the memory's alignment


@torch.no_grad()
def test_shapes_follow_the_glossary():
    made = model()
    latents = made.encode(frames())
    assert latents.shape == (2, 4, 1, 6)
    context = made.context(latents, uniform(2, 3, 5))
    assert made.predict(context, uniform(2, 7, 3, 5)).shape == (2, 7, 3, 1, 6)
    cost = made.goal_cost(context, latents[:, 0])
    assert cost(uniform(2, 7, 3, 5)).shape == (2, 7)
    assert (made.height, made.width, made.tubelet) == (16, 16, 2)


@torch.no_grad()
def test_the_newest_latent_is_the_last_of_all():
    made, clip = model(), frames(3)
    expected = made.encode(clip)[:, -1]
    torch.testing.assert_close(made.encode_newest(clip), expected)
    first = made.encode(clip[:, :1])[:, 0]
    torch.testing.assert_close(made.encode_newest(clip[:, :1]), first)


@pytest.mark.usefixtures("threads")
@torch.no_grad()
def test_costs_do_not_depend_on_the_batch_the_place_or_the_number_of_candidates():
    made = model()
    latents, past, goal = made.encode(frames()), uniform(2, 3, 5), uniform(2, 1, 6)
    candidates = uniform(2, 80, 3, 5)
    whole = made.goal_cost(made.context(latents, past), goal)(candidates)
    alone = made.goal_cost(made.context(latents[1:], past[1:]), goal[1:])
    assert torch.equal(alone(candidates[1:]), whole[1:])
    assert torch.equal(alone(candidates[1:, 40:]), whole[1:, 40:])
    few = alone(candidates[1:, 66:])  # in a smaller tile
    assert torch.equal(alone(candidates[1:, 66:].flip(1)).flip(1), few)
    torch.testing.assert_close(few, whole[1:, 66:], atol=1e-5, rtol=1e-5)
    swapped = made.goal_cost(made.context(latents.flip(0), past.flip(0)), goal.flip(0))
    assert torch.equal(swapped(candidates.flip(0)).flip(0), whole)
    made.batch_invariant = False  # faster, and the same but for the last bits
    together = made.goal_cost(made.context(latents, past), goal)
    torch.testing.assert_close(together(candidates), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("threads")
@torch.no_grad()
def test_planning_in_bfloat16_is_near_float32_and_as_independent_of_the_batch():
    made = model()
    latents, past, goal = made.encode(frames()), uniform(2, 3, 5), uniform(2, 1, 6)
    candidates = uniform(2, 70, 3, 5)
    exact = made.goal_cost(made.context(latents, past), goal)(candidates)
    made.precision = torch.bfloat16
    near = made.goal_cost(made.context(latents, past), goal)(candidates)
    assert not torch.equal(near, exact)
    assert (near - exact).abs().mean() < 0.02 * exact.std()
    alone = made.goal_cost(made.context(latents[1:], past[1:]), goal[1:])
    assert torch.equal(alone(candidates[1:]), near[1:])


def test_gradients_of_the_cost_are_those_of_the_model_in_float32():
    made = model().requires_grad_(False)
    made.precision = torch.bfloat16
    latents, goal = made.encode(frames()), uniform(2, 1, 6)
    context = made.context(latents, uniform(2, 3, 5))
    cost = made.goal_cost(context, goal)
    candidates = uniform(2, 3, 3, 5).requires_grad_()
    (slope,) = torch.autograd.grad(cost(candidates).sum(), candidates)
    step = 1e-2 * torch.sign(slope)
    made.precision = torch.float32
    with torch.no_grad():
        exact = made.goal_cost(context, goal)
        rise = exact(candidates + step) - exact(candidates - step)
    expected = 2 * (slope * step).sum((-2, -1))
    torch.testing.assert_close(rise, expected, rtol=0.02, atol=1e-5)


@torch.no_grad()
def test_changed_weights_are_planned_with():
    made = model()
    latents, goal = made.encode(frames()), uniform(2, 1, 6)
    context, candidates = made.context(latents, uniform(2, 3, 5)), uniform(2, 3, 3, 5)
    before = made.goal_cost(context, goal)(candidates)
    assert torch.equal(made.goal_cost(context, goal)(candidates), before)
    made.predictor.leave.weight.mul_(3.0)
    assert not torch.allclose(made.goal_cost(context, goal)(candidates), before)


@torch.no_grad()
def test_a_copy_of_a_model_that_has_planned_plans_alike_and_for_itself():
    made = model()
    latents, goal = made.encode(frames()), uniform(2, 1, 6)
    context, candidates = made.context(latents, uniform(2, 3, 5)), uniform(2, 3, 3, 5)
    before = made.goal_cost(context, goal)(candidates)
    copied = deepcopy(made)
    torch.testing.assert_close(copied.goal_cost(context, goal)(candidates), before)
    copied.predictor.leave.weight.mul_(3.0)
    assert not torch.allclose(copied.goal_cost(context, goal)(candidates), before)
    assert torch.equal(made.goal_cost(context, goal)(candidates), before)


@torch.no_grad()
def test_the_model_names_the_cost_that_planning_uses():
    made = model()
    context = made.context(made.encode(frames(1)), uniform(2, 0, 5))
    goal, candidates = uniform(2, 1, 6), uniform(2, 3, 2, 5)
    default = made.goal_cost(context, goal)(candidates)
    other = GoalCost(running=1.0)
    asked = made.goal_cost(context, goal, other)(candidates)
    assert not torch.allclose(default, asked)
    made.spec = replace(made.spec, cost=other)
    assert torch.equal(made.goal_cost(context, goal)(candidates), asked)


@pytest.mark.usefixtures("threads")
@torch.no_grad()
def test_proprio_corrects_the_latents_of_a_context_whatever_the_batch():
    one = model()
    assert one.proprio_correction is not None
    one.proprio_correction.lift.weight.copy_(
        torch.linalg.pinv(one.proprio_correction.tell.weight)
    )
    latents, felt = one.encode(frames(batch=3)), uniform(3, 4, 5)
    taken = uniform(3, 3, 5)
    context = one.context(latents, taken, felt)
    told = one.proprio_correction.tell(context.latents[:, :, 0])
    torch.testing.assert_close(told, felt[..., :2], atol=1e-4, rtol=1e-4)
    for b in range(3):
        row = slice(b, b + 1)
        alone = one.context(latents[row], taken[row], felt[row])
        assert torch.equal(alone.latents[0], context.latents[b])
    assert torch.equal(one.context(latents, taken).latents, latents)
    with pytest.raises(ValueError, match="at least the 2 dimensions .* got 1"):
        one.context(latents, taken, felt[..., :1])


@torch.no_grad()
def test_a_picture_without_proprio_tells_what_the_proprio_estimator_says():
    one = model()
    assert one.proprio_correction is not None
    assert one.proprio_estimator is not None
    one.proprio_correction.lift.weight.copy_(
        torch.linalg.pinv(one.proprio_correction.tell.weight)
    )
    tokens = one.encoder.encode(frames())
    latents, read = one.encode(frames())[:, :, 0], one.proprio_estimator(tokens)
    torch.testing.assert_close(
        one.proprio_correction.tell(latents), read, atol=1e-4, rtol=1e-4
    )
    felt = uniform(2, 5)  # what was measured counts, whatever was read
    seen = one.remember(None, None, latents[:, :1], felt).latents[:, 0]
    one.proprio_estimator = None
    bare = one.remember(None, None, one.encode(frames())[:, 0], felt).latents[:, 0]
    torch.testing.assert_close(seen, bare, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_film_remembered_step_by_step_is_the_film_remembered_at_once():
    one = model()
    latents, taken, felt = one.encode(frames(4)), uniform(2, 3, 5), uniform(2, 4, 5)
    past = None
    for step in range(4):
        action = taken[:, step - 1] if step else None
        past = one.remember(past, action, latents[:, step], felt[:, step])
    assert past is not None
    whole = one.context(latents, taken, felt)
    known = one.context_frames
    assert past.latents.shape[1] == known
    torch.testing.assert_close(past.latents, whole.latents[:, -known:])
    assert torch.equal(past.actions, taken[:, 1 - known :])


@pytest.mark.usefixtures("threads")
@torch.no_grad()
def test_what_is_remembered_does_not_depend_on_the_batch():
    one = model()
    latents, taken, felt = one.encode(frames(3)), uniform(2, 2, 5), uniform(2, 3, 5)
    both = one.context(latents, taken, felt)
    alone = one.context(latents[1:], taken[1:], felt[1:])
    assert torch.equal(alone.latents, both.latents[1:])


def test_a_past_needs_the_action_since():
    one = model()
    latents, felt = uniform(2, 1, 6), uniform(2, 5)
    past = one.remember(None, None, latents, felt)
    with pytest.raises(ValueError, match="a past needs the action"):
        one.remember(past, None, latents, felt)


def test_gradients_reach_the_actions_through_imagination():
    made = model()
    context = made.context(made.encode(frames(2)), uniform(2, 1, 5))
    candidates = uniform(2, 3, 2, 5).requires_grad_()
    made.goal_cost(context, uniform(2, 1, 6))(candidates).sum().backward()
    assert candidates.grad is not None
    assert (candidates.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("felt", [None, uniform(2, 4, 7)])
@torch.no_grad()
def test_surprise_is_the_error_of_the_one_step_prediction(felt: torch.Tensor | None):
    made, actions = model(), uniform(2, 3, 5)
    found = made.surprise(frames(), actions, felt)
    assert found.shape == (2, 3)
    seen = made.context(made.encode(frames()), actions, felt).latents
    context = made.context(seen[:, :1], actions[:, :0])
    expected = made.predict(context, actions[:, None, :1])[:, 0, 0]
    error = (expected - seen[:, 1]).square().mean((-2, -1))
    torch.testing.assert_close(found[:, 0], error)


@torch.no_grad()
def test_surprise_is_measured_by_what_is_ordinary_where_that_is_known(tmp_path: Path):
    made, play = model(), (frames(), uniform(2, 3, 5), uniform(2, 4, 7))
    errors = made.prediction_errors(*play)
    made.error_covariance = ErrorCovariance.of(errors.flatten(0, 1))
    made.spec = replace(SPEC, error_covariance=True)
    found = made.surprise(*play)
    torch.testing.assert_close(found, made.error_covariance(errors))
    made.save_pretrained(tmp_path / "model", "# Toy\n")
    loaded = WorldModel.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(loaded.surprise(*play), found)


def test_bad_shapes_are_named():
    made = model()
    context = made.context(uniform(2, 2, 1, 6), uniform(2, 1, 5))
    with pytest.raises(ValueError, match=r"actions must be \(B=2, N, H, A=5\), got"):
        made.predict(context, uniform(2, 3, 5))
    with pytest.raises(ValueError, match=r"actions must be \(B=2, N, H, A=5\), got"):
        made.predict(context, uniform(2, 3, 4, 4))
    with pytest.raises(ValueError, match=r"\(P, D\)=\(1, 6\), got \(2, 2, 3, 6\)"):
        wide = made.context(uniform(2, 2, 3, 6), uniform(2, 1, 5))
        made.predict(wide, uniform(2, 1, 1, 5))
    with pytest.raises(ValueError, match=r"past actions must be .*A=5\), got"):
        short = made.context(uniform(2, 2, 1, 6), uniform(2, 1, 4))
        made.predict(short, uniform(2, 1, 1, 5))
    for goal in (uniform(2, 6), uniform(3, 1, 6), uniform(2, 1, 5)):
        with pytest.raises(ValueError, match=r"\(B, P, D\)=\(2, 1, 6\), got"):
            made.goal_cost(context, goal)
    with pytest.raises(ValueError, match=r"\(B, T - 1 >= 1, A\)=\(2, 3, 5\), got"):
        made.surprise(frames(), uniform(2, 4, 5))
    with pytest.raises(ValueError, match="T - 1 >= 1"):
        made.surprise(frames(1), uniform(2, 0, 5))
    with pytest.raises(ValueError, match="frames must be uint8 .B, T, 16, 16, 3."):
        made.encode(torch.zeros(1, 2, 8, 16, 3, dtype=torch.uint8))


@pytest.mark.parametrize("problem", ["missing", "extra", "misshapen"])
def test_a_tensor_that_does_not_fit_is_named(saved: Path, problem: str):
    tensors = load_file(saved / TENSORS_FILE)
    name = "predictor.leave.weight"
    if problem == "missing":
        del tensors[name]
    elif problem == "extra":
        name = "predictor.other"
        tensors[name] = torch.zeros(3)
    else:
        tensors[name] = torch.zeros(6, 17)
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError, match=f"{problem}: {name}"):
        WorldModel.from_pretrained(saved)


def test_another_encoder_than_the_one_trained_on_is_refused(saved: Path):
    tensors = load_file(saved / TENSORS_FILE)
    tensors["encoder.encoder.stem.cell.bias"] += 1e-3
    rewrite(saved, tensors)
    trained_on = model().encoder.weights_hash[:12]
    with pytest.raises(CheckpointError, match=f"trained on the encoder {trained_on}"):
        WorldModel.from_pretrained(saved)


def test_a_checkpoint_of_another_kind_or_of_nonsense_is_refused(saved: Path):
    save_encoder(saved.parent / "encoder", VideoViT(ENCODER), {}, "# E\n")
    with pytest.raises(CheckpointError, match="an? 'encoder', not a 'world_model'"):
        WorldModel.from_pretrained(saved.parent / "encoder")
    with pytest.raises(CheckpointError, match="a 'world_model', not an 'encoder'"):
        load_encoder(saved)
    rewrite(saved, spec={})
    with pytest.raises(CheckpointError, match="config.json is not understood"):
        WorldModel.from_pretrained(saved)
    rewrite(saved.parent / "encoder", spec={"dimension": 3})
    with pytest.raises(CheckpointError, match="not understood: .*'dimension'"):
        load_encoder(saved.parent / "encoder")
    with pytest.raises(CheckpointError, match="no checkpoint folder at"):
        WorldModel.from_pretrained(saved.parent / "nothing")


def test_an_encoder_comes_back_as_it_was(tmp_path: Path):
    encoder = VideoViT(ENCODER, torch.Generator().manual_seed(0))
    save_encoder(tmp_path / "encoder", encoder, {"frames": 7}, "# E\n")
    frozen, history = load_encoder(tmp_path / "encoder")
    assert frozen.weights_hash == weights_hash(encoder)
    assert history == {"frames": 7}
    assert load_projector(tmp_path / "encoder") is None


def test_an_encoder_brings_the_projector_that_it_was_trained_with(tmp_path: Path):
    encoder = VideoViT(ENCODER, torch.Generator().manual_seed(0))
    projector = Projector(ProjectorSpec.of(ENCODER, 5))
    path = tmp_path / "encoder"
    save_encoder(path, encoder, {}, "# E\n", projector)
    assert load_encoder(path)[0].weights_hash == weights_hash(encoder)
    found = load_projector(path)
    assert found is not None
    assert found.spec == projector.spec
    assert weights_hash(found) == weights_hash(projector)
    rewrite(path, projector=asdict(replace(projector.spec, patches=3)))
    with pytest.raises(CheckpointError, match=r"projector.patches must be"):
        load_projector(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictor": replace(SPEC.predictor, action_size=4)}, "must be 5 as the"),
        ({"predictor": replace(SPEC.predictor, latent_dim=7)}, "dim=6, got 7"),
        (
            {
                "distances": LearnedSpec(
                    TemporalDistanceSpec(GoalProjectionSpec(latent_dim=9))
                )
            },
            "distances.temporal.projection.latent_dim",
        ),
        (
            {"policy_prior": PolicyPriorSpec(GoalProjectionSpec(latent_dim=9))},
            "policy_prior.projection.latent_dim .*got 9",
        ),
        (
            {
                "policy_prior": PolicyPriorSpec(
                    GoalProjectionSpec(latent_dim=6), action_size=4
                )
            },
            "policy_prior.action_size must be 5",
        ),
        ({"proprio_correction": -1}, "proprio_correction must be at least 0, got -1"),
        (
            {"proprio_correction": 3},
            "proprio_estimator.dim must be proprio_correction=3, got 2",
        ),
        (
            {"projector": replace(SPEC.projector, patches=9)},
            "patches must be 4, as the encoder gives, got 9",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **change)


@pytest.mark.parametrize("batch_invariant", [True, False])
def test_plans_are_judged_by_the_mean_of_what_several_predictors_say(
    tmp_path: Path, batch_invariant: bool
):
    torch.manual_seed(0)
    several = WorldModel(replace(SPEC, predictors=3)).eval()
    several.save_pretrained(tmp_path / "several", "# Toy\n")
    several = WorldModel.from_pretrained(tmp_path / "several")
    several.batch_invariant = batch_invariant
    past = several.context(several.encode(frames(3)), uniform(2, 2, 5))
    goal, actions = several.encode_newest(frames(1)), uniform(2, 4, 3, 5)
    costs = several.goal_cost(past, goal)(actions)
    alone = []
    for predictor in (several.predictor, *several.other_predictors):
        one = WorldModel(SPEC)
        one.load_state_dict(
            {
                **{k: v for k, v in several.state_dict().items() if "other" not in k},
                **{f"predictor.{k}": v for k, v in predictor.state_dict().items()},
            }
        )
        one.eval().requires_grad_(False).batch_invariant = batch_invariant
        alone.append(one.goal_cost(past, goal)(actions))
    assert (alone[0] - alone[1]).abs().min() > 0
    torch.testing.assert_close(costs, torch.stack(alone).mean(0))
    first = several.predict(past, actions)
    torch.testing.assert_close(first, several.rollout(past)(actions))
    varied = actions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        several.goal_cost(past, goal)(varied).sum(), varied
    )
    assert gradient.abs().min() > 0
    with torch.no_grad():
        several.rollout(past, 2).predictor.leave.weight.mul_(2.0)  # copies follow
    assert not torch.equal(costs, several.goal_cost(past, goal)(actions))


@pytest.mark.usefixtures("threads")
def test_what_several_predictors_judge_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    several = WorldModel(replace(SPEC, predictors=2)).eval()
    past = several.context(several.encode(frames(3)), uniform(2, 2, 5))
    goal, actions = several.encode_newest(frames(1)), uniform(2, 40, 3, 5)
    together = several.goal_cost(past, goal)(actions)
    for b in range(2):
        one = several.goal_cost(past.problem(b), goal[b : b + 1].clone())
        assert torch.equal(one(actions[b : b + 1])[0], together[b])
    everyone = replace(several.spec.cost, judged=0)
    every = several.goal_cost(past, goal, everyone)(actions)
    same = (together - every).abs() < 1e-6
    assert (same.sum(dim=1) >= several.spec.cost.judged).all()
    assert not same.all()


def test_no_predictor_is_refused():
    with pytest.raises(ValueError, match="predictors must be at least 1, got 0"):
        replace(SPEC, predictors=0)
