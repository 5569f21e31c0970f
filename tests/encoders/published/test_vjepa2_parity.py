"""V-JEPA 2 beside transformers' and the official code, on random weights."""

import importlib
import os
import sys
import types

import pytest
import torch

from tests.encoders.published.layouts import Sizes, film, write_folder, write_pt
from tests.encoders.published.test_vjepa2 import CASES, whole
from worldmodel.encoders import Reading, load_encoder
from worldmodel.encoders.published.preparation import Preparation, prepare

SOURCE = "VJEPA2_SOURCE"  # folder of a checkout of facebookresearch/vjepa2
WHOLE = "needs transformers: pip install worldmodel-planner[encoders]"


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", CASES)
def test_transformers_saves_what_is_read_and_gives_the_same_tokens(name, tmp_path):
    transformers = pytest.importorskip("transformers", reason=WHOLE)
    sizes, frames = CASES[name]
    config = transformers.VJEPA2Config(
        crop_size=sizes.crop,
        frames_per_clip=frames,
        hidden_size=sizes.dim,
        num_attention_heads=sizes.heads,
        num_hidden_layers=sizes.depth,
        mlp_ratio=sizes.hidden / sizes.dim,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    model = transformers.VJEPA2Model(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0, 0.5 if weight.dim() == 1 else 0.1, generator=generator)
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    encoder = load_encoder(tmp_path, Reading(resize=sizes.crop))
    clips = film(2, frames, sizes.crop)
    how = Preparation(sizes.crop, sizes.crop)
    pixels = prepare(clips.flatten(0, 1), how).unflatten(0, clips.shape[:2])
    with torch.no_grad():
        expected = model.get_vision_features(pixels)
        found = whole(encoder).tokens(clips)
    assert difference(found, expected) < 1e-5


@pytest.fixture
def official(monkeypatch):
    """The official vision transformer, from a checkout; nothing of it is ours."""
    folder = os.environ.get(SOURCE)
    if not folder:
        pytest.skip(f"needs {SOURCE}=FOLDER of a checkout of facebookresearch/vjepa2")
    monkeypatch.syspath_prepend(folder)
    # It asks timm for one function, which eval mode never calls.
    layers = types.ModuleType("timm.models.layers")
    layers.drop_path = None  # type: ignore[attr-defined]
    einops = types.ModuleType("einops")
    einops.rearrange = None  # type: ignore[attr-defined]
    for name, module in (
        ("timm", types.ModuleType("timm")),
        ("timm.models", types.ModuleType("timm.models")),
        ("timm.models.layers", layers),
        ("einops", einops),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    yield importlib.import_module("src.models.vision_transformer")
    for name in [name for name in sys.modules if name.split(".")[0] == "src"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", CASES)
def test_the_official_code_gives_the_same_tokens(name, official, tmp_path):
    sizes, frames = CASES[name]
    path = write_pt(tmp_path / "vit.pt", sizes)
    model = official.VisionTransformer(
        img_size=(sizes.crop, sizes.crop),
        num_frames=64,
        embed_dim=sizes.dim,
        depth=sizes.depth,
        num_heads=sizes.heads,
        mlp_ratio=sizes.hidden / sizes.dim,
        use_rope=True,
        use_sdpa=False,
        norm_layer=lambda dim: torch.nn.LayerNorm(dim, eps=1e-6),
    ).eval()
    model.load_state_dict(sizes.tensors())
    reading = Reading(crop=sizes.crop, resize=sizes.crop, heads=sizes.heads)
    clips = film(2, frames, sizes.crop)
    how = Preparation(sizes.crop, sizes.crop)
    pixels = prepare(clips.flatten(0, 1), how).unflatten(0, clips.shape[:2])
    with torch.no_grad():
        expected = model(pixels.transpose(1, 2))
        found = whole(load_encoder(path, reading)).tokens(clips)
    assert difference(found, expected) < 1e-5


def test_a_clip_that_is_wider_than_high_is_as_in_the_official_code(official, tmp_path):
    sizes = Sizes(crop=32)
    encoder = load_encoder(write_folder(tmp_path, sizes))
    model = official.VisionTransformer(
        img_size=(32, 48),
        num_frames=64,
        embed_dim=sizes.dim,
        depth=sizes.depth,
        num_heads=sizes.heads,
        mlp_ratio=sizes.hidden / sizes.dim,
        use_rope=True,
        use_sdpa=False,
        norm_layer=lambda dim: torch.nn.LayerNorm(dim, eps=1e-6),
    ).eval()
    model.load_state_dict(sizes.tensors())
    pixels = torch.randn(2, 4, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    network = whole(encoder).network
    assert network is not None
    with torch.no_grad():
        expected = model(pixels.transpose(1, 2))
        assert difference(network(pixels), expected) < 1e-5
