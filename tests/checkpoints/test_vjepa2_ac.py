"""V-JEPA 2-AC's predictor from files: strictly, or with a word on what is wrong."""

from dataclasses import replace

import pytest
import torch

from benchmarks.vjepa2_ac_reference import SPEC, random_predictor, write_published
from worldmodel.checkpoints.vjepa2_ac import UNUSED, load_vjepa2_ac, published
from worldmodel.errors import CheckpointError
from worldmodel.predictors import PatchPredictor


class Dangerous:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.pt"
    write_published(path, random_predictor())
    return path


def changed(path, **tensors):
    """Writes a file again, with some tensors instead, None for without."""
    named = published(random_predictor())
    named |= {name.replace("__", "."): value for name, value in tensors.items()}
    torch.save({"predictor": {k: v for k, v in named.items() if v is not None}}, path)
    return path


def test_a_published_file_is_read_as_it_was_written(file):
    loaded = load_vjepa2_ac(file, SPEC)
    wanted = random_predictor().state_dict()
    found = loaded.state_dict()
    assert found.keys() == wanted.keys()
    assert set(UNUSED) < found.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_queries_and_keys_are_in_another_order_in_files():
    own, written = random_predictor().state_dict(), published(random_predictor())
    name = "predictor_blocks.0.attn.qkv.weight"
    heads = own[name].view(3, SPEC.heads, SPEC.head_dim, SPEC.width)
    files = written[name].view_as(heads)
    assert torch.equal(files[:2, :, ::2], heads[:2, :, : SPEC.head_dim // 2])
    assert torch.equal(files[:2, :, 1::2], heads[:2, :, SPEC.head_dim // 2 :])
    assert torch.equal(files[2], heads[2])


def test_what_nothing_uses_must_be_there_and_changes_nothing(file):
    predictor = load_vjepa2_ac(file, SPEC)
    changes = {name.replace(".", "__"): None for name in UNUSED}
    with pytest.raises(CheckpointError, match="missing: extrinsics_encoder.bias"):
        load_vjepa2_ac(changed(file, **changes), SPEC)
    given = torch.randn(1, 1, SPEC.patches, SPEC.token_dim)
    before = predictor(given, torch.zeros(1, 1, 7), torch.zeros(1, 1, 7))
    predictor.extrinsics_encoder.weight.fill_(torch.nan)
    after = predictor(given, torch.zeros(1, 1, 7), torch.zeros(1, 1, 7))
    assert torch.equal(before, after)


def test_every_tensor_has_its_place(file):
    extra = changed(file, mask_token=torch.zeros(3))
    with pytest.raises(CheckpointError, match=r"extra: mask_token \(3,\)"):
        load_vjepa2_ac(extra, SPEC)
    misshapen = changed(file, predictor_norm__bias=torch.zeros(5))
    with pytest.raises(CheckpointError, match=r"predictor_norm.bias must be \(32,\)"):
        load_vjepa2_ac(misshapen, SPEC)
    half = changed(file, predictor_norm__bias=torch.zeros(32).half())
    with pytest.raises(CheckpointError, match="of another type: predictor_norm.bias"):
        load_vjepa2_ac(half, SPEC)


def test_values_that_are_no_numbers_are_refused(file):
    wrong = changed(file, predictor_norm__bias=torch.full((32,), torch.nan))
    with pytest.raises(CheckpointError, match="NaN among the values of predictor_norm"):
        load_vjepa2_ac(wrong, SPEC)


def test_another_architecture_is_named(file):
    with pytest.raises(CheckpointError, match=r"width=32 \(expected 1024\).*spec="):
        load_vjepa2_ac(file)
    with pytest.raises(CheckpointError, match=r"a predictor of depth=2 \(expected 3\)"):
        load_vjepa2_ac(file, replace(SPEC, depth=3))


def test_a_file_of_something_else_is_refused(file):
    torch.save({"encoder": {}, "epoch": 3}, file)
    with pytest.raises(CheckpointError, match="no part 'predictor', it has .*encoder"):
        load_vjepa2_ac(file, SPEC)
    torch.save({"predictor": {"norm.weight": torch.zeros(3)}}, file)
    with pytest.raises(CheckpointError, match="must have a matrix predictor_blocks.0"):
        load_vjepa2_ac(file, SPEC)
    torch.save({"predictor": {"norm.weight": 3}}, file)
    with pytest.raises(CheckpointError, match="tensors by name, got int as 'norm.wei"):
        load_vjepa2_ac(file, SPEC)
    torch.save({"predictor": [torch.zeros(3)]}, file)
    with pytest.raises(CheckpointError, match="tensors by name, got list"):
        load_vjepa2_ac(file, SPEC)
    torch.save(torch.zeros(3), file)
    with pytest.raises(CheckpointError, match=r"parts by name \(a dict\), got Tensor"):
        load_vjepa2_ac(file, SPEC)
    file.write_text("<html>not found</html>")
    with pytest.raises(CheckpointError, match=r"no whole file of torch.*has 22 bytes"):
        load_vjepa2_ac(file, SPEC)
    with pytest.raises(CheckpointError, match="nowhere.pt is no file; give the path"):
        load_vjepa2_ac(file.with_name("nowhere.pt"), SPEC)


def test_a_file_that_was_cut_off_is_refused(file):
    whole = file.read_bytes()
    for share in (0.1, 0.9, 0.999):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError, match="it was cut off.*download it again"):
            load_vjepa2_ac(file, SPEC)


def test_code_in_a_file_does_not_run(file, capsys):
    torch.save({"predictor": {"norm.weight": Dangerous()}}, file)
    with pytest.raises(CheckpointError, match="asks for code to be run .*never done"):
        load_vjepa2_ac(file, SPEC)
    torch.save({"predictor": PatchPredictor(SPEC)}, file)
    with pytest.raises(CheckpointError, match="more than tensors and plain values"):
        load_vjepa2_ac(file, SPEC)
    assert "code ran" not in capsys.readouterr().out


def test_what_training_leaves_beside_the_weights_is_no_harm(file):
    whole = torch.load(file, weights_only=True)
    optimizer = torch.optim.AdamW([torch.zeros(3, requires_grad=True)])
    whole |= {"opt": optimizer.state_dict(), "scaler": None, "loss": 0.5, "lr": 1e-4}
    torch.save(whole, file)
    assert load_vjepa2_ac(file, SPEC).spec == SPEC
