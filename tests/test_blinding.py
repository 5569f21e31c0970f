import pytest
import torch

from benchmarks.blinding import PARTS, blind
from worldmodel.model import WorldModel
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
