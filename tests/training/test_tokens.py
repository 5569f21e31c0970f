import dataclasses

import numpy as np
import pytest
import torch

from tests.training.toy import ENCODER, EPISODES, STEPS, toy_frames
from worldmodel.encoders import FrozenEncoder, VideoViT
from worldmodel.training.tokens import (
    encode_dataset,
    packed,
    rounding,
    tokens_size,
    unpacked,
)

CPU = torch.device("cpu")
FRAMES = toy_frames()


def encoder(seed: int = 0) -> FrozenEncoder:
    return FrozenEncoder(VideoViT(ENCODER, torch.Generator().manual_seed(seed)))


def test_every_row_has_the_tokens_of_its_own_frame(tmp_path):
    cache = encode_dataset(encoder(), FRAMES, tmp_path, 0.0, CPU)
    assert cache.tokens.shape == (EPISODES * STEPS, 4, 12)
    assert cache.tokens.dtype == np.float16
    rows = torch.tensor([[3 * STEPS, 3 * STEPS + 5], [0, EPISODES * STEPS - 1]])
    assert cache.at(rows).shape == (2, 2, 4, 12)
    episode = torch.from_numpy(FRAMES.frames[3 * STEPS : 4 * STEPS])[None]
    expected = encoder().encode(episode)[0, [0, 5]]
    # bfloat16 inside, float16 on disk
    torch.testing.assert_close(cache.at(rows)[0].float(), expected, rtol=0, atol=0.1)


def test_as_int8_they_take_half_and_are_off_by_half_a_scale_at_most(tmp_path):
    exact = encode_dataset(encoder(), FRAMES, tmp_path, 0.0, CPU)
    small = encode_dataset(encoder(), FRAMES, tmp_path, 0.0, CPU, kept="int8")
    assert len(list(tmp_path.glob("*.npy"))) == 2
    assert exact.shape == small.shape == (EPISODES * STEPS, 4, 12)
    assert small.tokens.nbytes == EPISODES * STEPS * 4 * (12 + 4)
    assert small.tokens.nbytes == tokens_size(encoder(), FRAMES, "int8")
    assert exact.tokens.nbytes == tokens_size(encoder(), FRAMES)
    rows = torch.arange(60).view(2, 30)
    true, found = exact.at(rows).float(), small.at(rows).float()
    assert small.at(rows).dtype == torch.float16
    half = true.abs().amax(-1, keepdim=True) / 127 / 2
    assert ((found - true).abs() <= half + 2e-3 * true.abs() + 1e-3).all()
    assert not torch.equal(found, true)
    assert torch.equal(packed(torch.zeros(3, 5)), torch.zeros(3, 9, dtype=torch.int8))
    even = torch.tensor([[127.0, -3.0, 0.0], [-1.27, 0.5, 0.01]])
    torch.testing.assert_close(unpacked(packed(even)), even.half(), rtol=1e-3, atol=0)
    assert rounding(even) < 1e-3 < rounding(torch.randn(4, 64))


def test_still_clips_are_pictures_of_their_own(tmp_path):
    cache = encode_dataset(encoder(), FRAMES, tmp_path, 1.0, CPU)
    pictures = torch.from_numpy(FRAMES.frames[:4])[:, None]  # (4, 1, h, w, 3)
    expected = encoder().encode(pictures)[:, 0]
    found = cache.at(torch.arange(4)).float()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)


def test_what_was_encoded_is_used_again_and_nothing_else_is(tmp_path):
    done: list[tuple[int, int]] = []

    def encode(seed: int = 0, fingerprint: str | None = None) -> np.ndarray:
        frames = FRAMES
        if fingerprint:
            frames = dataclasses.replace(FRAMES, fingerprint=fingerprint)
        return encode_dataset(
            encoder(seed), frames, tmp_path, 0.3, CPU, lambda a, b: done.append((a, b))
        ).tokens

    first = encode()
    assert done == [(i + 1, EPISODES) for i in range(EPISODES)]
    assert np.array_equal(encode(), first)
    assert len(done) == EPISODES
    assert not np.array_equal(encode(seed=1), first)
    encode(fingerprint="another dataset")
    assert len(done) == 3 * EPISODES


def test_a_kill_leaves_no_half_written_tokens(tmp_path):
    def kill(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_dataset(encoder(), FRAMES, tmp_path, 0.0, CPU, kill)
    assert not list(tmp_path.glob("tokens-*"))
    cache = encode_dataset(encoder(), FRAMES, tmp_path, 0.0, CPU)
    assert np.isfinite(cache.tokens).all()
