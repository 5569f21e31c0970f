import pytest
import torch

from tests.training.toy import toy_frames
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.proprio import standardised_proprio, training_rows
from worldmodel.training.readouts import Reads, still_directions

EPISODES, STEPS = 200, 20
NOWHERE = torch.zeros(len(toy_frames().frames), 0, 4)


def test_reads_find_what_latents_tell_linearly():
    frames = toy_frames()
    felt = standardised_proprio(frames, 2)
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(2, 5, generator=generator)
    latents = felt @ mix + torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    words = torch.zeros(len(felt), 1, 4)
    words[..., :2], words[..., 3] = felt[:, None], 1.0
    reads = Reads.of(latents, felt, words, NOWHERE, frames)
    assert reads.felt is not None
    assert reads.seen is not None
    torch.testing.assert_close(reads.felt(latents), felt, atol=1e-2, rtol=1e-2)
    assert reads.seen.shape == (2, 5)
    distance = reads.proprio_distance(1)
    assert distance is not None
    assert distance.readout.weight.shape == (1, 5)
    assert reads.proprio_distance(0) is None


def test_places_are_fitted_where_they_are_to_be_trusted():
    frames = toy_frames()
    felt = standardised_proprio(frames, 2)
    other = torch.randn(len(felt), 2, generator=torch.Generator().manual_seed(0))
    latents = torch.cat((felt, other), dim=1)
    words = torch.zeros(len(felt), 1, 4)
    words[..., :2] = other[:, None]
    words[..., 3] = 1.0
    untrusted = torch.arange(len(felt)) % 3 == 0
    words[untrusted, :, :2] = 50.0
    words[untrusted, :, 3] = 0.0
    seen = Reads.of(latents, felt, words, NOWHERE, frames).seen
    assert seen is not None
    scale = seen[:, 2:].diagonal()
    torch.testing.assert_close(seen[:, 2:], scale.diag(), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen[:, :2], torch.zeros(2, 2), atol=1e-3, rtol=0)


def test_nothing_is_read_where_nothing_is_told():
    frames = toy_frames()
    latents = torch.randn(len(frames.frames), 3)
    none = torch.zeros(len(latents), 0)
    reads = Reads.of(latents, none, NOWHERE, NOWHERE, frames)
    assert reads.felt is None
    assert reads.seen is None
    assert reads.proprio_distance(0) is None


def things_and_a_wanderer() -> LatentEpisodes:
    """A thing that rests and jumps, a gripper that wanders, and a mixture of both.

    Dimension 0 tells the thing with the gripper's shadow on it, 1 the gripper, 2 the
    shadow alone.
    """
    generator = torch.Generator().manual_seed(0)
    gripper = torch.randn(EPISODES, STEPS, generator=generator)
    thing = 3 * torch.randn(EPISODES, STEPS, generator=generator)
    thing[:, : STEPS // 2] = thing[:, :1]
    thing[:, STEPS // 2 :] = thing[:, -1:]
    shadow = 0.1 * torch.randn(EPISODES, STEPS, generator=generator)
    latents = torch.stack((thing + shadow, gripper, shadow), dim=-1).flatten(0, 1)
    rows = torch.arange(len(latents))
    first = rows - rows % STEPS
    last = first + STEPS - 1
    return LatentEpisodes(latents, first, last, rows[rows < last])


def test_what_stays_while_things_stay_is_found_and_the_shadow_taken_off():
    data = things_and_a_wanderer()
    seen = torch.tensor([[1.0, 0.0, 0.0]])
    found = still_directions(data, seen, aim=1, count=2)
    assert found.shape == (2, 3)
    thing = found[0] / found[0, 0]
    torch.testing.assert_close(thing, torch.tensor([1.0, 0.0, -1.0]), atol=0.2, rtol=0)
    told = data.latents[data.rows] @ found.T
    assert told[:, 0].std().item() == pytest.approx(1.0, rel=1e-3)
    assert told[:, 1].std() < 0.2


def test_only_the_training_split_is_fitted():
    frames = toy_frames()
    felt = standardised_proprio(frames, 2)
    latents = felt.repeat(1, 2)
    held = ~training_rows(frames)
    spoiled = latents.clone()
    spoiled[held] = 100.0
    none = torch.zeros(len(latents), 0, 4)
    clean = Reads.of(latents, felt, none, none, frames).felt
    found = Reads.of(spoiled, felt, none, none, frames).felt
    assert clean is not None
    assert found is not None
    assert torch.equal(clean.weight, found.weight)
