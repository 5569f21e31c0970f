import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from worldmodel.checkpoints.checkpoint import (
    load_checkpoint,
    load_strict,
    save_checkpoint,
    weights_hash,
)
from worldmodel.errors import CheckpointError

CONFIG = {"architecture": {"width": 3}, "seed": 1, "names": ["a", "b"]}


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def saved(module, tmp_path):
    path = tmp_path / "model"
    save_checkpoint(path, CONFIG, module.state_dict(), "# Card\n")
    return path


def test_a_checkpoint_comes_back_as_it_was(module, saved):
    loaded = load_checkpoint(saved)
    assert loaded.config == CONFIG
    assert loaded.weights_hash == weights_hash(module)
    for name, tensor in module.state_dict().items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)
    assert (saved / "README.md").read_text() == "# Card\n"
    assert sorted(f.name for f in saved.parent.iterdir()) == ["model"]


def test_a_loaded_module_computes_the_same(module, saved):
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
    load_strict(other, load_checkpoint(saved).tensors)
    x = torch.randn(2, 3)
    assert torch.equal(other(x), module.eval()(x))


def test_every_kind_of_tensor_survives(tmp_path):
    base = torch.arange(6.0)
    tensors = {
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "half": torch.randn(3).bfloat16(),
        "transposed": base.reshape(2, 3).T,
        "shared": base,
        "flag": torch.tensor([True, False]),
    }
    save_checkpoint(tmp_path / "m", {}, tensors, "")
    loaded = load_checkpoint(tmp_path / "m").tensors
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_the_hash_sees_values_names_shapes_and_types():
    tensor = torch.zeros(2, 3)
    base = weights_hash({"a": tensor, "b": tensor})
    assert weights_hash({"b": tensor, "a": tensor.clone()}) == base
    assert weights_hash({"a": tensor.T.contiguous().T, "b": tensor}) == base
    changed = tensor.clone()
    changed[1, 2] = 1e-30
    for other in (changed, tensor.T, tensor.int(), tensor.double()):
        assert weights_hash({"a": other, "b": tensor}) != base
    assert weights_hash({"a": tensor, "c": tensor}) != base


def test_strict_loading_names_every_wrong_tensor(module):
    tensors = dict(module.state_dict())
    before = weights_hash(module)
    del tensors["0.bias"]
    tensors["1.weight"] = torch.ones(5)
    tensors["head.weight"] = torch.ones(2)
    with pytest.raises(CheckpointError) as caught:
        load_strict(module, tensors)
    message = str(caught.value)
    assert "missing: 0.bias (4,)" in message
    assert "extra: head.weight (2,)" in message
    assert "misshapen: 1.weight must be (4,), got (5,)" in message
    assert weights_hash(module) == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_checkpoint(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.95])
def test_a_file_cut_off_is_named(saved, name, part):
    path = saved / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(CheckpointError, match=f"{name} is damaged or half-written"):
        load_checkpoint(saved)


def test_tensors_of_another_checkpoint_are_refused(module, saved, tmp_path):
    others = {name: value + 1 for name, value in module.state_dict().items()}
    save_checkpoint(tmp_path / "other", CONFIG, others, "")
    os.replace(tmp_path / "other" / "model.safetensors", saved / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"is not what config\.json describes"):
        load_checkpoint(saved).load_into(module)


def test_a_tensor_that_was_taken_out_is_named(module, saved):
    tensors = load_file(saved / "model.safetensors")
    tensors.pop("0.bias")
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: (.|\n)*0\.bias"):
        load_checkpoint(saved).load_into(module)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint folder at .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")


def test_another_format_version_is_refused(saved):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(CheckpointError, match="format version 99"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "config", [{"x": torch.ones(1)}, {"x": float("nan")}, {"weights_hash": "0"}]
)
def test_a_config_that_is_not_ours_to_write_is_refused(config, tmp_path):
    with pytest.raises(CheckpointError, match="config must"):
        save_checkpoint(tmp_path / "m", config, {}, "")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(CheckpointError, match="is no checkpoint, it stays"):
        save_checkpoint(tmp_path, {}, {}, "")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_an_error_while_saving_keeps_the_old_checkpoint(saved, monkeypatch):
    before = load_checkpoint(saved)

    def fail(path, content):
        with path.open("wb") as file:
            file.write(content[:4])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(saved, {}, {"x": torch.ones(1)}, "")
    assert load_checkpoint(saved).config == before.config
    assert [f.name for f in saved.parent.iterdir()] == ["model"]


def test_a_process_killed_while_saving_leaves_the_old_checkpoint(saved):
    program = f"""
import os, signal, torch
from pathlib import Path
from worldmodel.checkpoints import checkpoint
def die(path, content):
    with path.open("wb") as file:
        file.write(content[:4])
    os.kill(os.getpid(), signal.SIGKILL)
Path.write_bytes = die
checkpoint.save_checkpoint({str(saved)!r}, {{}}, {{"x": torch.ones(1)}}, "")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=os.getcwd())
    assert done.returncode == -signal.SIGKILL
    assert load_checkpoint(saved).config == CONFIG
    save_checkpoint(saved, {"seed": 2}, {"x": torch.ones(1)}, "")
    assert load_checkpoint(saved).config == {"seed": 2}
    assert [f.name for f in saved.parent.iterdir()] == ["model"]


def test_every_file_of_a_checkpoint_follows_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "model", {}, {"x": torch.ones(1)}, "")
    finally:
        os.umask(old)
    modes = {f.name: f.stat().st_mode & 0o777 for f in (tmp_path / "model").iterdir()}
    assert set(modes.values()) == {0o644}, modes
