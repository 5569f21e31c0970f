import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodel.errors import WorldModelError
from worldmodel.training.object_positions import Places, positions_by_hand

STEPS, EPISODES = 30, 60
TABLE = 0.2  # height of what lies
OFFSETS = np.arange(0, EPISODES * STEPS + 1, STEPS)
ALL = torch.ones(EPISODES * STEPS, dtype=torch.bool)


def picture(place: Tensor) -> Tensor:
    """A camera that looks down slantwise: height looks like distance."""
    x, y, z = place.unbind(-1)
    depth = 4.0 + 0.5 * y
    return torch.stack((3 * x / depth, 3 * (0.6 * y + 0.8 * z) / depth), dim=-1)


def play(lifts: bool = True) -> tuple[Tensor, Tensor]:
    """Places of a thing and of a hand that grasps it, carries it and puts it down."""
    generator = torch.Generator().manual_seed(0)
    thing, hand = [], []
    for _ in range(EPISODES):
        lie, put, carry, away = torch.randn(4, 3, generator=generator)
        lie[2] = put[2] = TABLE
        carry[2] = carry[2].abs() + 1.0
        away[2] = 1.5
        points = [away, lie, carry, put, away.flip(0)]
        way = torch.cat(
            [
                start + (end - start) * torch.linspace(0, 1, 8)[:-1, None]
                for start, end in itertools.pairwise(points)
            ]
        )
        way = torch.cat((way, points[-1].expand(STEPS - len(way), 3)))
        held = lie.expand(STEPS, 3).clone()
        if lifts:
            held[7:21], held[21:] = way[7:21], put
        thing.append(held)
        hand.append(way)
    return torch.cat(thing), torch.cat(hand)


def found(thing: Tensor, hand: Tensor) -> Places:
    seen = picture(thing)
    seen = (seen - seen.mean(dim=0)) / seen.std(dim=0)
    return positions_by_hand(seen, torch.ones(len(thing)), hand, OFFSETS, ALL)


def test_the_hand_tells_where_things_are_in_space():
    thing, hand = play()
    places = found(thing, hand)
    told = places.trust > 0
    error = (places.where - thing).norm(dim=1)[told]
    assert told.float().mean() > 0.8
    assert error.median() < 0.1
    assert error.quantile(0.9) < 0.4
    aloft = thing[:, 2] > TABLE + 0.5
    assert places.held[aloft].float().mean() > 0.8


def test_a_thing_that_looks_held_and_is_not_is_not_told_aloft():
    thing, hand = play()
    places = found(thing, hand)
    lying = (thing[:, 2] == TABLE) & (places.trust > 0)
    high = places.where[:, 2] > TABLE + 0.5
    assert high[lying].float().mean() < 0.05


def test_play_that_holds_nothing_is_refused():
    thing, hand = play(lifts=False)
    with pytest.raises(WorldModelError, match="set object_dims to 0"):
        found(thing, hand)
