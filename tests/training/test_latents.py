import torch

from tests.training.toy import EPISODES, STEPS, toy_frames
from worldmodel.data import SplitRule
from worldmodel.projectors.projector import Projector, ProjectorSpec
from worldmodel.training.latents import (
    LatentEpisodes,
    joined,
    latent_episodes,
    one_step,
)
from worldmodel.training.tokens import TokenCache


def test_latents_of_an_episode_are_its_own_and_only_training_rows_are_used():
    frames = toy_frames()
    tokens = torch.randn(EPISODES * STEPS, 2, 3).half().numpy()
    spec = ProjectorSpec(patches=2, token_dim=3, reduced=2, hidden=4, dim=5)
    projector = Projector(spec)
    data = latent_episodes(projector, TokenCache(tokens, frames), chunk=50)
    with torch.no_grad():
        whole = projector(torch.from_numpy(tokens).float())
    torch.testing.assert_close(data.latents, whole)
    assert data.first.tolist() == [r - r % STEPS for r in range(EPISODES * STEPS)]
    assert torch.equal(data.last - data.first, torch.full_like(data.first, STEPS - 1))
    episodes = set((data.rows // STEPS).tolist())
    rule = SplitRule()
    assert episodes == {i for i in range(EPISODES) if rule.split_of(i) == "train"}
    assert (data.rows % STEPS != STEPS - 1).all()


def test_practice_is_drawn_more_often_than_play():
    play, practice = (
        LatentEpisodes(
            torch.full((4, 2), number),
            torch.tensor([0, 0, 2, 2]),
            torch.tensor([1, 1, 3, 3]),
            torch.tensor([0, 2]),
        )
        for number in (0.0, 1.0)
    )
    both = joined(play, practice, weight=3)
    assert both.first.tolist() == [0, 0, 2, 2, 4, 4, 6, 6]
    assert both.last.tolist() == [1, 1, 3, 3, 5, 5, 7, 7]
    assert both.rows.tolist() == [0, 2] + 3 * [4, 6]
    assert both.latents[both.rows, 0].tolist() == [0, 0] + 6 * [1]


def test_one_step_is_what_latents_change_by_within_episodes():
    latents = torch.tensor([[0.0, 0.0], [3.0, 4.0], [90.0, 0.0], [90.0, 1.0]])
    data = LatentEpisodes(
        latents,
        torch.tensor([0, 0, 2, 2]),
        torch.tensor([1, 1, 3, 3]),
        torch.tensor([0, 2]),
    )
    assert abs(one_step(data) - ((9 + 16 + 1) / 4) ** 0.5) < 1e-6
