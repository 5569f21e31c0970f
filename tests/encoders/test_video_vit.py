import pytest
import torch

from worldmodel.encoders import VideoViT, VideoViTSpec

SPEC = VideoViTSpec(
    height=36, width=48, dim=32, depth=2, heads=2, cell_dim=8, points=3, num_colors=5
)


@pytest.fixture(scope="module")
def encoder() -> VideoViT:
    return VideoViT(SPEC, torch.Generator().manual_seed(0)).eval()


def frames(batch: int, time: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, time, SPEC.height, SPEC.width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def test_shapes_follow_the_glossary(encoder: VideoViT):
    keep = torch.tensor([[0, 5, 13]] * 2)
    assert (SPEC.patches, SPEC.blob_tokens, SPEC.latents) == (12, 2, 14)
    assert encoder.tokens(frames(2, 4)).shape == (2, 24, 32)
    assert encoder.tokens(frames(2, 4), keep).shape == (2, 3, 32)
    assert encoder.encode(frames(2, 3)).shape == (2, 3, 14, 32)


@torch.no_grad()
def test_hidden_pixels_never_reach_context_tokens(encoder: VideoViT):
    clip = frames(1, 4)
    keep = torch.tensor([[t * 12 + p for t in (0, 1) for p in (0, 1, 4, 5, 11)]])
    before = encoder.tokens(clip, keep)
    shown = torch.zeros(3, 4, dtype=torch.bool)
    shown.view(-1)[[0, 1, 4, 5, 11]] = True
    shown_pixels = shown.repeat_interleave(12, 0).repeat_interleave(12, 1)
    changed = torch.where(shown_pixels[..., None], clip, frames(1, 4, seed=9))
    assert (changed != clip).any()
    assert torch.equal(encoder.tokens(changed, keep), before)
    changed[0, 3, 35, 47, 0] ^= 128  # a pixel of the shown patch 11
    assert not torch.equal(encoder.tokens(changed, keep), before)


@torch.no_grad()
def test_keeping_every_token_is_keeping_none_out(encoder: VideoViT):
    clip = frames(2, 4)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    kept = encoder.tokens(clip, order.expand(2, -1))
    torch.testing.assert_close(kept, encoder.tokens(clip)[:, order], rtol=0, atol=1e-5)


@torch.no_grad()
def test_encode_sees_the_tubelet_that_ends_at_each_frame(encoder: VideoViT):
    clip = frames(2, 5)
    latents = encoder.encode(clip)
    for t in range(1, 5):
        alone = encoder.newest(clip[:, t - 1 : t + 1])
        torch.testing.assert_close(latents[:, t], alone, rtol=0, atol=1e-5)
    still = encoder.newest(clip[:, :1].expand(-1, 2, -1, -1, -1))
    torch.testing.assert_close(latents[:, 0], still, rtol=0, atol=1e-5)


@torch.no_grad()
def test_words_of_the_newest_frame_follow_the_patches(encoder: VideoViT):
    clip = frames(2, 2)
    latents = encoder.newest(clip)
    torch.testing.assert_close(latents[:, :12], encoder.tokens(clip))
    assert encoder.blobs is not None
    told = encoder.blobs(clip[:, 1], encoder.background).flatten(1)
    torch.testing.assert_close(latents[:, 12:].flatten(1)[:, :35], told)
    assert (latents[:, 12:].flatten(1)[:, 35:] == 0).all()


@torch.no_grad()
def test_encode_does_not_depend_on_the_chunk(encoder: VideoViT):
    clip = frames(2, 5)
    whole = encoder.encode(clip)
    torch.testing.assert_close(encoder.encode(clip, chunk=3), whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_longer_tubelet_repeats_the_first_frame():
    spec = VideoViTSpec(12, 12, tubelet=3, dim=12, depth=1, heads=1, cell_dim=4)
    encoder = VideoViT(spec, torch.Generator().manual_seed(0))
    clip = torch.zeros(1, 3, 12, 12, 3, dtype=torch.uint8)
    clip[0, 1], clip[0, 2] = 100, 200
    expected = encoder.tokens(clip[:, [0, 0, 1]])
    torch.testing.assert_close(encoder.encode(clip)[:, 1], expected)


@torch.no_grad()
def test_float_pixels_give_what_uint8_pixels_give(encoder: VideoViT):
    clip = frames(1, 2)
    assert torch.equal(encoder.tokens(clip.float()), encoder.tokens(clip))


def test_bfloat16_autocast_trains_and_stays_close(encoder: VideoViT):
    clip = frames(2, 2)
    exact = encoder.tokens(clip)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder.tokens(clip)
    rough.float().square().mean().backward()
    assert (rough - exact).abs().max() < 0.1
    assert all(weight.grad is not None for weight in encoder.parameters())


def test_the_same_seed_gives_the_same_weights():
    def made(seed: int) -> VideoViT:
        return VideoViT(SPEC, torch.Generator().manual_seed(seed))

    first, again, other = (made(s).stem.patch.weight for s in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 40}, "height must be a multiple of patch=12, got 40"),
        ({"patch": 10}, "patch must be a multiple of 4, got 10"),
        ({"heads": 3}, "even integer of at least 6, got 128 / 3"),
        ({"tubelet": 0}, "tubelet must be at least 1, got 0"),
        ({"points": -1}, r"points must be in \[0, 1024\], got -1"),
    ],
)
def test_a_spec_that_cannot_be_built_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        VideoViTSpec(**change)


def test_bad_clips_and_indices_are_named(encoder: VideoViT):
    with pytest.raises(ValueError, match="multiple of tubelet=2 frames, got 3"):
        encoder.tokens(frames(1, 3))
    with pytest.raises(ValueError, match=r"keep must be int64 \(B=1, K\), got int64"):
        encoder.tokens(frames(1, 2), torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        encoder.encode(frames(1, 2), chunk=0)


@torch.no_grad()
def test_the_usual_picture_looks_the_same_whatever_it_is():
    seeing = VideoViT(SPEC, torch.Generator().manual_seed(0)).eval()
    grey = torch.full((1, 2, SPEC.height, SPEC.width, 3), 128, dtype=torch.uint8)
    nothing = seeing.tokens(grey)
    background = frames(1, 1)[0, 0]
    seeing.set_background(background)
    assert torch.equal(seeing.tokens(background.expand(1, 2, -1, -1, -1)), nothing)
    assert not torch.equal(seeing.tokens(grey), nothing)
    assert "background" in seeing.state_dict()


@pytest.mark.parametrize(
    "picture",
    [torch.zeros(48, 36, 3, dtype=torch.uint8), torch.zeros(36, 48, 3)],
)
def test_a_usual_picture_of_another_kind_is_refused(encoder: VideoViT, picture):
    with pytest.raises(ValueError, match=r"must be uint8 \(36, 48, 3\), got"):
        encoder.set_background(picture)
