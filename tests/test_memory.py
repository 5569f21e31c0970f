import pytest
import torch

from worldmodel.memory import Memory, MemorySpec

LOOKED = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))


def latents(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, 8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_latents_move_to_what_they_shall_tell_and_tell_the_rest_as_before():
    memory, before = Memory.of(LOOKED, 2), latents(3, 4)
    after = memory.moved(before, torch.full((3, 4, 2), 0.7))
    told = after @ LOOKED.T
    torch.testing.assert_close(told[..., :2], torch.full((3, 4, 2), 0.7))
    rest = (before @ LOOKED.T)[..., 2:]
    torch.testing.assert_close(told[..., 2:], rest, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_is_believed_of_things_lies_between_seen_and_expected():
    memory = Memory.of(LOOKED, 2)
    seen, expected = latents(50), latents(100)[50:]
    believed = memory.look(memory(seen, expected))
    here, there = memory.look(seen), memory.look(expected)
    share = (believed - here) / (there - here)
    assert (share > 0).all()
    assert (share < 1).all()
    alike = memory(seen, seen)  # nothing to weigh
    torch.testing.assert_close(alike, seen)


def test_what_is_looked_at_is_not_learned():
    memory = Memory.of(LOOKED, 2)
    fixed = [n for n, p in memory.named_parameters() if not p.requires_grad]
    assert fixed == ["look.weight", "lift.weight"]


@pytest.mark.parametrize("name", ["latent_dim", "things", "hidden"])
def test_a_size_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        MemorySpec(**{name: 0})
