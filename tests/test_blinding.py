import pytest
import torch

from benchmarks.blinding import PARTS, blind
from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
from worldmodel.encoders import VideoViTSpec
from worldmodel.model import WorldModel
from worldmodel.model_spec import WorldModelSpec
from worldmodel.predictors import ActionPredictorSpec
from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.resources import find_weights


@pytest.mark.parametrize("part", PARTS)
def test_what_a_model_is_blind_to_changes_no_latent_and_the_rest_does(part):
    model = WorldModel.from_pretrained(find_weights("reference"))
    spec, generator = model.projector.spec, torch.Generator().manual_seed(0)
    tokens = torch.randn(2, spec.patches + 1, spec.token_dim, generator=generator)
    video, blobs = tokens.clone(), tokens.clone()
    video[:, : spec.patches] += 1.0
    blobs[:, spec.patches :] += 1.0
    hidden, kept = (video, blobs) if part == PARTS[0] else (blobs, video)
    blind(model, part)
    for projector in (model.projector, model.proprio_estimator):
        assert projector is not None
        torch.testing.assert_close(projector(hidden), projector(tokens))
        assert (projector(kept) - projector(tokens)).abs().max() > 1e-3


def test_a_part_that_there_is_not_is_refused():
    model = WorldModel.from_pretrained(find_weights("reference"))
    with pytest.raises(ValueError, match="part must be one of .* got 'sound'"):
        blind(model, "sound")


def test_a_model_without_blobs_is_blind_to_everything():
    torch.manual_seed(0)
    encoder = VideoViTSpec(16, 16, patch=8, dim=12, depth=1, heads=2, cell_dim=4)
    spec = WorldModelSpec(
        encoder,
        ProjectorSpec.of(encoder, 8),
        ActionPredictorSpec(8, 5),
        ActionSpec.from_json(ACTION_SPEC),
    )
    model = WorldModel(spec).eval()
    shape = (4, 16, 16, 3)
    frames = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    frames = frames.to(torch.uint8)
    before = model.encode(frames[:, None])[:, 0, 0]
    assert before.std(0).max() > 1e-3
    blind(model, PARTS[0], frames)
    after = model.encode(frames[:, None])[:, 0, 0]
    torch.testing.assert_close(after, after[:1].expand(4, -1))
