import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.full_disk import no_file_above
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.training_state import (
    TrainingState,
    load_training_state,
    save_training_state,
)
from worldmodel.errors import CheckpointError, WriteError


class Training:
    """A tiny training that uses every kind of state."""

    def __init__(self, optimizer=torch.optim.AdamW, width=4):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, width), nn.Dropout(0.5))
        self.average = copy.deepcopy(self.model)
        self.optimizer = optimizer(self.model.parameters(), lr=0.1)
        self.noise = torch.Generator().manual_seed(1)
        self.order = np.random.default_rng(2)
        self.state = TrainingState(
            modules={"model": self.model, "average": self.average},
            optimizers={"all": self.optimizer},
            generators={"noise": self.noise, "order": self.order},
        )

    def run(self, steps):
        for _ in range(steps):
            x = torch.randn(5, 3, generator=self.noise) + float(self.order.normal())
            self.optimizer.zero_grad()
            self.model(x).square().mean().backward()
            self.optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(
                    self.average.parameters(), self.model.parameters(), strict=True
                ):
                    slow.lerp_(fast, 0.1)

    def hash(self):
        return weights_hash(self.model) + weights_hash(self.average)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_a_resumed_training_is_bitwise_the_one_that_was_not_killed(optimizer, tmp_path):
    path = tmp_path / "state.safetensors"
    whole = Training(optimizer)
    whole.run(6)
    first = Training(optimizer)
    first.run(3)
    save_training_state(path, first.state, step=3, notes={"best": 0.5})
    second = Training(optimizer)
    assert load_training_state(path, second.state) == (3, {"best": 0.5})
    assert second.hash() == first.hash()
    second.run(3)
    assert second.hash() == whole.hash()


def test_the_optimizer_state_comes_back_with_its_types(tmp_path):
    training = Training()
    training.run(2)
    save_training_state(tmp_path / "s", training.state, step=2)
    other = Training()
    load_training_state(tmp_path / "s", other.state)
    ours, theirs = training.optimizer.state_dict(), other.optimizer.state_dict()
    assert theirs["param_groups"] == ours["param_groups"]
    for index, values in ours["state"].items():
        for key, value in values.items():
            assert torch.equal(theirs["state"][index][key], value)


def test_a_state_of_a_gpu_goes_on_without_one(tmp_path):
    path = tmp_path / "state.safetensors"
    first = Training()
    first.run(2)
    group = first.optimizer.param_groups[0]
    group.update(capturable=True, lr=torch.tensor(0.1))  # as on a GPU
    save_training_state(path, first.state, step=2)
    second = Training()
    load_training_state(path, second.state)
    group = second.optimizer.param_groups[0]
    assert group["capturable"] is False
    assert group["lr"] == pytest.approx(0.1)
    second.run(1)


def test_an_interrupted_save_keeps_the_old_state(tmp_path, monkeypatch):
    path = tmp_path / "state"
    training = Training()
    save_training_state(path, training.state, step=1)

    def fail(staging, content):
        with staging.open("wb") as file:
            file.write(content[:4])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(KeyboardInterrupt):
        save_training_state(path, training.state, step=2)
    assert load_training_state(path, training.state) == (1, {})
    assert [f.name for f in tmp_path.iterdir()] == ["state"]


def test_a_cut_off_state_is_named(tmp_path):
    path = tmp_path / "state"
    save_training_state(path, Training().state, step=1)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="state is damaged or half-written"):
        load_training_state(path, Training().state)


def test_a_missing_state_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no training state at .*nowhere"):
        load_training_state(tmp_path / "nowhere", Training().state)


def test_another_training_is_refused(tmp_path):
    path = tmp_path / "state"
    save_training_state(path, Training().state, step=1)
    lacking = TrainingState(modules={"model": Training().model})
    with pytest.raises(CheckpointError, match=r"modules \['average', 'model'\]"):
        load_training_state(path, lacking)
    with pytest.raises(CheckpointError, match=r"0\.weight must be \(5, 3\)"):
        load_training_state(path, Training(width=5).state)
    other = Training()
    other.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    with pytest.raises(CheckpointError, match="another optimizer 'all'"):
        load_training_state(path, other.state)


def test_notes_that_are_not_json_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="JSON values"):
        save_training_state(tmp_path / "s", Training().state, 1, {"x": torch.ones(1)})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_the_old_state_and_names_the_file(tmp_path):
    path, training = tmp_path / "state.safetensors", Training()
    save_training_state(path, training.state, step=1)
    message = f"cannot write {path}"
    with no_file_above(1024), pytest.raises(WriteError, match=message):
        save_training_state(path, training.state, step=2)
    assert load_training_state(path, training.state) == (1, {})
    assert [f.name for f in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_state_file_follows_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        save_training_state(tmp_path / "s", Training().state, step=1)
    finally:
        os.umask(old)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o644
