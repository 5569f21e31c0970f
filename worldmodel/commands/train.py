"""Trains what plans on a frozen encoder: compressor, predictor and goal distance.

Killed, it goes on where it stopped when the same command is given the same `out`.
The run folder ends with `model/`, a checkpoint that plans.
"""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from worldmodel.commands.control import BANK_FILE
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.progress import bar
from worldmodel.commands.run_folder import open_run_folder
from worldmodel.commands.training import choose_device, followed, open_frames
from worldmodel.costs import GoalCost
from worldmodel.data import FrameCache, Windows
from worldmodel.distances import (
    LearnedDistances,
    LearnedSpec,
    ReadDistance,
    TemporalDistance,
)
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import OptionError
from worldmodel.evaluation.frame_bank import save_bank
from worldmodel.model import WorldModel, WorldModelSpec
from worldmodel.parts import load_compressor, load_encoder
from worldmodel.predictors import Compressor
from worldmodel.predictors.objective import LatentDynamics
from worldmodel.training.distance import (
    DistanceRecipe,
    latent_episodes,
    principal_directions,
    train_distance,
)
from worldmodel.training.dynamics import DynamicsRecipe, train_dynamics
from worldmodel.training.tokens import TokenCache, encode_dataset
from worldmodel.training.words import unexplained, word_targets

EXAMPLE = "worldmodel train data=data/play encoder=runs/pretrain/first/encoder"
CARD = """# World model

Plans toward goal images. Trained by `worldmodel train` on {frames} frames of play, on
the frozen encoder {encoder}. Recipe and dataset stand in `config.json`; it has not been
evaluated yet: `worldmodel evaluate model={path}`.
"""


def run(config: DictConfig) -> int:
    """Trains both stages and writes the world model."""
    dynamics_recipe: DynamicsRecipe = instantiate(config.dynamics)
    distance_recipe: DistanceRecipe = instantiate(config.distance)
    cost: GoalCost = instantiate(config.cost)
    device = choose_device(config.device)
    encoder, encoder_history = load_encoder(config.encoder)
    start = _start(config.compressor, encoder, dynamics_recipe)
    frames = open_frames(config.data)
    if not 0 <= config.felt <= dynamics_recipe.proprio:
        raise OptionError(
            f"felt must be in [0, dynamics.proprio={dynamics_recipe.proprio}], got "
            f"{config.felt}"
        )
    learned = LearnedSpec(distance_recipe.spec, config.felt, 2 * config.words)
    _check_read(distance_recipe.spec.read, dynamics_recipe.proprio, config.words)
    spec = _spec(encoder, dynamics_recipe, frames, cost, learned)
    folder = open_run_folder("train", config).path
    cache = _encode(encoder, frames, folder, config.still, device)
    words = _word_targets(encoder, frames, config.words, dynamics_recipe.seed)
    dynamics = _train_dynamics(dynamics_recipe, cache, words, folder, device, start)
    seen = _seen(dynamics, words, frames)
    distance = _train_distance(distance_recipe, dynamics, seen, cache, folder)
    history = {
        "dataset": frames.fingerprint,
        "frames": len(frames.frames),
        "device": device.type,
        "recipe": {
            "still": config.still,
            "words": config.words,
            "goes_on_from_compressor": start is not None,
            "dynamics": OmegaConf.to_container(config.dynamics, resolve=True),
            "distance": OmegaConf.to_container(config.distance, resolve=True),
        },
        "encoder": encoder_history,
    }
    distances = LearnedDistances(distance, _felt(dynamics, config.felt), seen)
    model = assemble(spec, encoder, dynamics, distances, history)
    path = folder / "model"
    card = CARD.format(
        frames=len(frames.frames), encoder=encoder.weights_hash[:12], path=path
    )
    model.save_pretrained(path, card)
    if config.bank:
        windows = Windows(frames, "train", length=1)
        some = windows.at(windows.spread(min(config.bank, len(windows)))).frames[:, 0]
        save_bank(some.numpy(), path / BANK_FILE)
    print(f"the world model is in {path}")
    return 0


def assemble(
    spec: WorldModelSpec,
    encoder: FrozenEncoder,
    dynamics: LatentDynamics,
    distances: LearnedDistances,
    history: dict[str, object],
) -> WorldModel:
    """Puts separately trained parts into one model, on the CPU."""
    model = WorldModel(spec, history)
    model.encoder = encoder.cpu()
    model.compressor = dynamics.compressor.cpu()
    model.predictor = dynamics.predictor.cpu()
    model.distances = distances.cpu()
    return model.requires_grad_(False).eval()


def _start(
    path: str | None, encoder: FrozenEncoder, recipe: DynamicsRecipe
) -> Compressor | None:
    if path is None:
        return None
    start = load_compressor(path, encoder)
    if start.spec != recipe.compressor:
        raise OptionError(
            f"{path} is a compressor {start.spec}, dynamics.compressor says "
            f"{recipe.compressor}"
        )
    return start


def _check_read(read: int, proprio: int, words: int) -> None:
    most = proprio + 2 * words
    if read and not proprio < read <= most:
        raise OptionError(
            f"distance.spec.read must be 0 or in [{proprio + 1}, {most}]: all of "
            f"dynamics.proprio={proprio}, and some of the 2 words={2 * words} "
            f"coordinates; got {read}"
        )


def _felt(dynamics: LatentDynamics, size: int) -> ReadDistance | None:
    """Reads the first dimensions of proprio as the latents were trained to tell."""
    if dynamics.proprio is None or size == 0:
        return None
    return _reading(dynamics.proprio.weight[:size])


def _seen(
    dynamics: LatentDynamics, words: torch.Tensor, frames: FrameCache
) -> ReadDistance | None:
    """Reads rows and columns of words, the less the more proprio explains them."""
    if dynamics.words is None:
        return None
    shares = unexplained(words, frames)  # (K, 2)
    scale = (shares / shares.mean()).sqrt().to(dynamics.words.weight)
    rows = dynamics.words.weight.unflatten(0, (-1, 3))[:, :2]  # (K, 2, D)
    return _reading((scale[..., None] * rows).flatten(0, 1))


def _reading(weight: torch.Tensor) -> ReadDistance:
    read = ReadDistance(weight.shape[1], weight.shape[0])
    read.read.weight = torch.nn.Parameter(weight.detach().cpu())
    return read


def _word_targets(
    encoder: FrozenEncoder, frames: FrameCache, count: int, seed: int
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return word_targets(frames, count, encoder.encoder.usual.cpu(), generator)


def _encode(
    encoder: FrozenEncoder,
    frames: FrameCache,
    folder: Path,
    still: float,
    device: torch.device,
) -> TokenCache:
    with bar(len(frames.episodes), "encode", "episode") as progress:

        def advance(done: int, total: int) -> None:
            del total
            progress.update(done - progress.n)

        path = folder / "tokens"
        return encode_dataset(encoder, frames, path, still, device, advance)


def _train_dynamics(
    recipe: DynamicsRecipe,
    cache: TokenCache,
    words: torch.Tensor,
    folder: Path,
    device: torch.device,
    start: Compressor | None,
) -> LatentDynamics:
    log, state = folder / "dynamics.txt", folder / "dynamics.safetensors"
    with followed("dynamics", recipe.schedule.steps, log) as on_step:
        return train_dynamics(recipe, cache, words, device, state, on_step, start)


def _train_distance(
    recipe: DistanceRecipe,
    dynamics: LatentDynamics,
    seen: ReadDistance | None,
    cache: TokenCache,
    folder: Path,
) -> TemporalDistance:
    """On proprio and on where things are, as latents tell them, if it shall read."""
    data = latent_episodes(dynamics.compressor, cache)
    directions = None
    if recipe.spec.read:
        assert dynamics.proprio is not None
        assert seen is not None
        felt = dynamics.proprio.weight.detach().to(data.latents)
        things = seen.read.weight.detach().to(data.latents)
        count = recipe.spec.read - len(felt)
        directions = principal_directions(data.latents, things, count)
        directions = torch.cat((felt, directions))
    log, state = folder / "distance.txt", folder / "distance.safetensors"
    with followed("distance", recipe.schedule.steps, log) as on_step:
        return train_distance(recipe, data, state, on_step, directions)


def _spec(
    encoder: FrozenEncoder,
    dynamics: DynamicsRecipe,
    frames: FrameCache,
    cost: GoalCost,
    distances: LearnedSpec,
) -> WorldModelSpec:
    return WorldModelSpec(
        encoder=encoder.spec,
        compressor=dynamics.compressor,
        predictor=dynamics.predictor,
        action_spec=frames.spec.action_spec,
        distances=distances,
        cost=cost,
    )
