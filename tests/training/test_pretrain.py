import dataclasses

import pytest
import torch

from tests.training.toy import ENCODER, PREDICTOR, PROJECTOR, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.joint import JointSpec, single_clips
from worldmodel.training.pretrain import PretrainRecipe, pretrain

CPU = torch.device("cpu")
FRAMES = toy_frames()
RECIPE = PretrainRecipe(
    JointSpec(
        encoder=ENCODER,
        projector=PROJECTOR,
        predictor=PREDICTOR,
        targets=2,
        proprio=2,
        num_blobs=3,
    ),
    Schedule(4, save_every=0.0),
    pairs=3,
    clips=2,
    clip_frames=(2, 4),
)


def test_a_killed_pretraining_continues_to_the_same_encoder(tmp_path):
    def kill(step: int, _: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    path, seen = tmp_path / "state.safetensors", []
    with pytest.raises(KeyboardInterrupt):
        pretrain(RECIPE, FRAMES, CPU, path, kill)
    resumed = pretrain(RECIPE, FRAMES, CPU, path, lambda step, _: seen.append(step))
    assert seen == [3, 4]
    whole = pretrain(RECIPE, FRAMES, CPU)
    assert weights_hash(resumed) == weights_hash(whole)
    other = pretrain(dataclasses.replace(RECIPE, seed=1), FRAMES, CPU)
    assert weights_hash(other) != weights_hash(whole)


def test_every_term_of_the_objective_is_reported():
    terms: dict[str, float] = {}
    pretrain(RECIPE, FRAMES, CPU, on_step=lambda _, found: terms.update(found))
    assert {"total", "forced", "rolled", "masked", "target_std", "std"} <= set(terms)


def test_single_clips_end_at_their_frame_and_some_stand_still():
    frames = torch.arange(2 * 60).view(2, 60, 1, 1, 1).expand(-1, -1, 2, 2, 3)
    clips = single_clips(frames, 0.3, torch.Generator().manual_seed(0))
    assert clips.shape == (120, 2, 2, 2, 3)
    before, now = clips[:, 0, 0, 0, 0], clips[:, 1, 0, 0, 0]
    assert torch.equal(now, torch.arange(120))
    still = before == now
    assert torch.equal(before[~still], now[~still] - 1)
    assert still[[0, 60]].all()  # nothing stands before the first frame of a window
    assert 0.2 < still.float().mean() < 0.42


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 1}, "window must be at least 2 frames, got 1"),
        ({"clips": 0}, r"clips must be in \[1, 100000\], got 0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)


def test_a_projector_of_another_encoder_is_refused():
    with pytest.raises(
        ValueError, match="projector.patches must be 4, as the encoder gives"
    ):
        JointSpec(encoder=ENCODER)
