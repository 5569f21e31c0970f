"""Checkpoint folders that somebody changed: one clear error, and no memory taken."""

# Wrong arguments are what is tried here.
# pyright: reportArgumentType=false

import re
import resource

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.damage import set_json
from tests.commands.tiny import save_tiny_model
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.outline import TooLargeError, outlined
from worldmodel.errors import CheckpointError
from worldmodel.model import WorldModel


@pytest.fixture
def folder(tmp_path):
    return save_tiny_model(tmp_path / "model", policy_prior=True)


def change(folder, path, value):
    """Sets a value of config.json, e.g. at "spec.encoder.depth"."""
    set_json(folder / "config.json", path, value, ".")


def change_tensors(folder, name, value):
    """Replaces a tensor, and the hash with it."""
    file = folder / "model.safetensors"
    tensors = load_file(file) | {name: value}
    save_file(tensors, file)
    change(folder, "weights_hash", weights_hash(tensors))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.encoder.depth", 100_000),
        ("spec.encoder.depth", 10**9),
        ("spec.encoder.dim", 2 * 10**6),
        ("spec.encoder.height", 32 * 10**6),
        ("spec.encoder.tubelet", 10**9),
        ("spec.projector.hidden", 10**9),
        ("spec.predictor.depth", 10**8),
        ("spec.predictor.width", 10**9),
        ("spec.predictor.window", 10**9),
        ("spec.predictor.mlp_ratio", 1e300),
        ("spec.policy_prior.hidden", 2 * 10**9),
        ("spec.encoder.num_colors", 10**9),
    ],
)
def test_a_config_of_great_sizes_takes_no_memory(folder, path, value):
    change(folder, path, value)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=str(folder)):
        WorldModel.from_pretrained(folder)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 100_000


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.encoder.theta", 1e999, "holds Infinity"),
        ("spec.encoder.theta", float("nan"), "holds NaN, which is no JSON number"),
        ("spec.encoder.theta", -1.0, "theta must be positive and finite, got -1.0"),
        (
            "spec.encoder.depth",
            1.5,
            "spec.encoder.depth must be a whole number, got 1.",
        ),
        (
            "spec.encoder.depth",
            "2",
            "spec.encoder.depth must be a whole number, got '2'",
        ),
        ("spec.encoder.depth", True, "depth must be a whole number, got True"),
        ("spec.encoder", None, "spec.encoder must be an object, got None"),
        ("spec.encoder", [], "spec.encoder must be an object, got []"),
        ("spec.predictor.heads", 0, "heads must be at least 1, got 0"),
        (
            "spec.proprio_correction",
            "3",
            "proprio_correction must be a whole number",
        ),
        (
            "spec.policy_prior.projection",
            3,
            "projection must be an object, got 3",
        ),
        ("spec.action_spec.rate_hz", 10**400, "rate_hz must be finite numbers"),
        ("spec.action_spec", "", "spec.action_spec must be an object, got ''"),
        ("spec.cost.temporal", "much", "cost.temporal must be a finite number, got"),
        ("spec.surprise", 1, "has the unknown fields ['surprise']; known are: encoder"),
        ("spec", None, "spec must be an object, got None"),
        ("history", 7, "history must be an object, got 7"),
        ("encoder_hash", None, "encoder_hash must be a text, got None"),
        ("weights_hash", None, "weights_hash must be a text, got None"),
        ("weights_hash", 5, "weights_hash must be a text, got 5"),
        ("package_version", [], "package_version must be a text, got []"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(folder, path, value, message):
    change(folder, path, value)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        WorldModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "must hold a JSON object"),
        ("[1]", "must hold a JSON object"),
        ("", "is no valid JSON"),
        ("[" * 100_000, "is nested too deep"),
        ('{"a":' * 100_000, "is nested too deep"),
    ],
)
def test_a_config_that_is_no_object_is_said_to_be_damaged(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=f"damaged or half-written: it {message}"):
        WorldModel.from_pretrained(folder)


def test_a_config_that_is_no_text_is_named(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(CheckpointError, match="must be UTF-8 text"):
        WorldModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinity")]
)
def test_weights_that_are_no_numbers_are_refused(folder, value, word):
    name = "predictor.enter.weight"
    tensors = load_file(folder / "model.safetensors")
    name = next(n for n in tensors if n.startswith("predictor") and "weight" in n)
    bad = tensors[name].clone()
    bad.view(-1)[0] = value
    change_tensors(folder, name, bad)
    with pytest.raises(CheckpointError, match=f"holds {word} among .*{name}"):
        WorldModel.from_pretrained(folder)


def test_an_infinite_std_of_proprio_is_none_of_these(folder):
    std = torch.tensor([1.0, torch.inf, 1.0])
    change_tensors(folder, "proprio_correction.std", std)
    correction = WorldModel.from_pretrained(folder).proprio_correction
    assert correction is not None
    assert torch.equal(correction.std, std)


def test_tensors_of_another_type_are_refused(folder):
    change_tensors(folder, "proprio_correction.std", torch.ones(3, dtype=torch.float16))
    with pytest.raises(CheckpointError, match="std must be torch.float32, got"):
        WorldModel.from_pretrained(folder)


@pytest.mark.parametrize("path", ["", "."])
def test_an_empty_path_is_told_what_to_name(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="checkpoint"):
        WorldModel.from_pretrained(path)


def test_an_outline_has_shapes_and_no_memory():
    module = outlined(lambda: torch.nn.Linear(10**6, 10**6), 2)
    assert module.weight.shape == (10**6, 10**6)
    assert module.weight.is_meta


def test_an_outline_stops_counting_when_it_is_done():
    outlined(lambda: torch.nn.Linear(2, 2), 2)
    torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(5)])
    with pytest.raises(TooLargeError, match="more than 1 tensors"):
        outlined(lambda: torch.nn.Linear(2, 2), 1)
