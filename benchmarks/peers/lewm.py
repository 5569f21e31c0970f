"""LeWM as stable-worldmodel trains it and plans with it."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.models.lewm import LeWMPredictor, LeWMSpec
from benchmarks.models.packed_lewm import PackedLeWM
from worldmodel.evaluation.policy import Decision

SIDE = 224  # px, as published; so is the search
SEARCH = {"num_samples": 300, "n_steps": 30, "topk": 30}
PLAN = {"horizon": 5, "receding_horizon": 5, "action_block": 5}
_WEIGHTS = "weights_epoch_*.pt"
_NORMALISED = ("action", "proprio", "state")


def load_lewm(path: Path) -> Any:
    """Loads weights of a run of their training.

    Args:
        path: Of a file of weights, or of the run's folder for the newest in it.

    Raises:
        ValueError: There are none.
    """
    folder = path.parent if path.suffix == ".pt" else path
    found = {int(_number(one)): one for one in folder.glob(_WEIGHTS)}
    file = path if path.suffix == ".pt" else found[max(found)] if found else None
    if file is None or not file.is_file() or not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} must hold config.json and {file.name if file else _WEIGHTS}, "
            "as their scripts/train/lewm.py leaves them"
        )
    config = json.loads((folder / "config.json").read_text())
    hydra = importlib.import_module("hydra.utils")
    model = hydra.instantiate(config.get("model", config))
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    model.interpolate_pos_encoding = True
    return model.eval().requires_grad_(False)


class PackedCosts(nn.Module):
    """Their model with costs of candidates by our copy of their predictor.

    The same function of the same weights, about five times as fast on a CPU: n = 200
    problems are an hour of a core rather than a night. Pictures are encoded by theirs.

    Args:
        theirs: Of `load_lewm`.
        dtype: Of matrix products; their own training ran in bfloat16.
    """

    def __init__(self, theirs: Any, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.theirs = theirs
        weights = theirs.state_dict()
        size = weights["action_encoder.patch_embed.weight"].shape[1]
        predictor = LeWMPredictor.from_published(weights, LeWMSpec(action_size=size))
        self._packed = PackedLeWM(predictor, dtype)

    def get_cost(self, info: dict[str, Any], candidates: Tensor) -> Tensor:
        """Gives costs (1, N) of candidates (1, N, H, A), as theirs does."""
        if "emb" not in info or "goal_emb" not in info:
            self.theirs.get_cost(info, candidates[:, :1])  # which leaves both in `info`
        latents, goal = info["emb"][:, 0].float(), info["goal_emb"][:, -1:].float()
        none = candidates.new_zeros(len(candidates), 0, candidates.shape[-1])
        future = self._packed.rollout(latents, none, candidates.float())
        return (future[:, :, -1] - goal).square().sum(-1)


def peer_policy(model: Any, data: Path, seed: int) -> Any:
    """Gives their policy with the published search.

    Args:
        model: Of `load_lewm`, or `PackedCosts` of it.
        data: HDF5 file that it was trained on; its columns are normalised alike.
        seed: Of the search.
    """
    swm = importlib.import_module("stable_worldmodel")
    solver = importlib.import_module("stable_worldmodel.solver").CEMSolver(
        model, batch_size=1, device="cpu", seed=seed, **SEARCH
    )
    return swm.policy.WorldModelPolicy(
        solver=solver,
        config=swm.PlanConfig(**PLAN),
        process=scalers(data),
        transform={"pixels": picture_transform(), "goal": picture_transform()},
    )


def scalers(data: Path) -> dict[str, Any]:
    """Gives what brings each column to mean 0 and standard deviation 1."""
    h5py = importlib.import_module("h5py")
    make = importlib.import_module("sklearn.preprocessing").StandardScaler
    with h5py.File(data) as file:
        own = {name: make().fit(file[name][:]) for name in _NORMALISED}
    goals = {f"goal_{name}": own[name] for name in _NORMALISED if name != "action"}
    return own | goals


def picture_transform() -> Any:
    """Gives their transform of pictures: ImageNet's mean and deviation, 224 px."""
    v2 = importlib.import_module("torchvision.transforms.v2")
    statistics = importlib.import_module("stable_pretraining.data.dataset_stats")
    return v2.Compose(
        [
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(**statistics.ImageNet),
            v2.Resize(size=SIDE),
        ]
    )


class LeWMPolicy:
    """Their policy, asked as our runner asks; actions are cut to what the env takes."""

    def __init__(self, model: Any, data: Path, seed: int, action_size: int) -> None:
        """For a model of `load_lewm`; see `peer_policy`."""
        self._model, self._data, self._seed = model, data, seed
        self._size = action_size
        self._policy: Any = None
        self._goals = np.zeros(0, np.uint8)
        self._left, self._seen = 0, np.zeros(0, np.uint8)

    @property
    def looks(self) -> bool:
        """Whether it plans at the next step; until then it gives out its plan."""
        return self._left == 0

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Begins episodes, with a policy that knows nothing of those before."""
        spaces = importlib.import_module("gymnasium").spaces
        one = spaces.Box(-1.0, 1.0, (self._size,), np.float32)
        batch = spaces.Box(-1.0, 1.0, (len(seeds), self._size), np.float32)
        seed = self._seed + int(seeds[0])
        self._policy = peer_policy(self._model, self._data, seed)
        self._policy.set_env(
            SimpleNamespace(
                num_envs=len(seeds), action_space=batch, single_action_space=one
            )
        )
        self._goals = goal_images[:, None]
        self._left = 0

    def act(self, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
        """Gives the actions of this step; it plans every 25 steps."""
        if pixels is not None:
            self._seen = pixels[:, None]  # it wants a picture, also where it uses none
        if self.looks:
            self._left = PLAN["receding_horizon"] * PLAN["action_block"]
        self._left -= 1
        nothing = np.zeros((len(proprio), 1, self._size), np.float32)
        info = {"pixels": self._seen, "goal": self._goals, "action": nothing}
        with contextlib.redirect_stdout(io.StringIO()):
            actions = self._policy.get_action(info)
        return Decision.of_actions(np.clip(actions, -1.0, 1.0))


def _number(path: Path) -> str:
    found = re.search(r"(\d+)$", path.stem)
    return found.group(1) if found else "0"
