"""Ours gives what Meta's code gave (`python -m benchmarks.vjepa2_ac_reference`)."""

import pytest
import torch
from safetensors.torch import load_file

from benchmarks import vjepa2_ac_reference as reference
from worldmodel.checkpoints.vjepa2_ac import load_vjepa2_ac

THEIRS = load_file(reference.KEPT)


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "tiny.pt"
    reference.write_published(path, reference.random_predictor())
    found = reference.ours(load_vjepa2_ac(path, reference.SPEC))
    seeing = path.with_name("seeing.pt")
    reference.write_seeing(seeing)
    return found | reference.ours_from_pictures(seeing)


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_ours_gives_what_the_official_code_gives(name, mine):
    assert mine[name].shape == THEIRS[name].shape
    assert THEIRS[name].abs().max() > 0.01
    away = 1e-4 if name.startswith("plan") else 1e-5
    torch.testing.assert_close(mine[name], THEIRS[name], rtol=0, atol=away)
