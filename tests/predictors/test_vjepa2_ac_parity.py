"""Ours gives what Meta's code gave (`python -m benchmarks.vjepa2_ac_reference`)."""

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.vjepa2_ac_reference import KEPT, SPEC, ours, write_published
from benchmarks.vjepa2_ac_reference import random_predictor as tiny_predictor
from worldmodel.checkpoints.vjepa2_ac import load_vjepa2_ac

THEIRS = load_file(KEPT)
AWAY = {"steps": 1e-5, "rollout": 1e-5, "poses": 1e-5, "differences": 1e-5}


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "tiny.pt"
    write_published(path, tiny_predictor())
    return ours(load_vjepa2_ac(path, SPEC))


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_ours_gives_what_the_official_code_gives(name, mine):
    assert mine[name].shape == THEIRS[name].shape
    assert THEIRS[name].abs().max() > 0.01
    away = AWAY.get(name, 1e-4)
    torch.testing.assert_close(mine[name], THEIRS[name], rtol=0, atol=away)
