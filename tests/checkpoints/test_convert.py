"""A checkpoint of format 1 is made from one of format 2, and converted back."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.commands.tiny import save_tiny_model, tiny_spec
from worldmodel.checkpoints.checkpoint import CONFIG_FILE, TENSORS_FILE, weights_hash
from worldmodel.checkpoints.convert import convert_config
from worldmodel.commands.main import main
from worldmodel.errors import CheckpointError
from worldmodel.model import WorldModel

OLD_TENSORS = {
    r"^projector\.": "compressor.",
    r"^policy_prior\.": "habit.",
    r"^proprio_correction\.": "anchor.",
    r"projection\.readout": "look.read",
    r"background$": "usual",
}


def old_spec(spec: dict) -> dict:
    cost = spec["cost"]
    look = {"latent_dim": 8, "read": 0, "aim": 0}
    return {
        "encoder": {
            **{k: v for k, v in spec["encoder"].items() if not k.startswith("num")},
            "words": 0,
            "things": 0,
        },
        "compressor": {
            **{k: v for k, v in spec["projector"].items() if k != "blob_dim"},
            "words": 0,
        },
        "predictor": spec["predictor"],
        "action_spec": spec["action_spec"],
        "distances": {"temporal": None, "felt": 0, "seen": 0},
        "habit": {"look": look, "action_size": 5, "hidden": 8},
        "anchor": spec["proprio_correction"],
        "reader": None,
        "memory": None,
        "cost": {
            "latent": cost["latent"],
            "temporal": cost["temporal"],
            "felt": 0.0,
            "seen": 0.0,
            "pose": cost["proprio_goal"],
            "slack": 0.0,
            "things": 0.3,
            "still": cost["move_threshold"],
            "there": 0.1,
            "path": cost["running"],
            "effort": 0.0,
        },
    }


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of format 1."""
    folder = save_tiny_model(tmp_path / "old", policy_prior=True)
    model = WorldModel.from_pretrained(folder)
    tensors = {}
    for name, tensor in model.state_dict().items():
        for pattern, was in OLD_TENSORS.items():
            name = re.sub(pattern, was, name)
        tensors[name] = tensor
    tensors["distances.seen.read.weight"] = torch.zeros(2, 8)
    save_file(tensors, folder / TENSORS_FILE)
    config = json.loads((folder / CONFIG_FILE).read_text())
    config |= {"format_version": 1, "weights_hash": weights_hash(tensors)}
    config["spec"] = old_spec(tiny_spec(policy_prior=True).to_json())
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    (folder / "bank.npz").write_bytes(b"frames")
    return folder


def test_a_converted_model_is_the_model(old: Path, tmp_path: Path, capsys):
    out = tmp_path / "new"
    assert main(["convert", f"model={old}", f"out={out}"]) == 0
    converted = WorldModel.from_pretrained(out)
    again = WorldModel.from_pretrained(
        save_tiny_model(tmp_path / "same", policy_prior=True)
    )
    told = replace(again.spec.cost, min_improvement=0.03)  # as planned with then
    assert converted.spec == replace(again.spec, cost=told)
    assert weights_hash(converted) == weights_hash(again)
    assert (out / "bank.npz").read_bytes() == b"frames"
    assert str(out) in capsys.readouterr().out
    assert main(["convert", f"model={old}", f"out={out}"]) == 2
    assert "exists; choose another out=" in capsys.readouterr().err


def test_an_older_format_says_how_to_convert_it(old: Path):
    with pytest.raises(CheckpointError, match=f"worldmodel convert model={old} out="):
        WorldModel.from_pretrained(old)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory": {"things": 1}}, "has a memory"),
        ({"cost": {"latent": 1.0, "seen": 0.5}}, r"does not know: \['seen'\]"),
    ],
)
def test_what_the_new_format_has_no_word_for_is_refused(change, message):
    spec = old_spec(tiny_spec(policy_prior=True).to_json()) | change
    with pytest.raises(ValueError, match=message):
        convert_config({"kind": "world_model", "spec": spec}, {})
