"""Pretrains the video-JEPA encoder on a dataset of play, without labels or rewards.

Killed, it goes on where it stopped when the same command is given the same `out`.
The run folder ends with `encoder/`, a checkpoint of the encoder and, where it learned
beside one that plans, of its projector. Over several GPUs, which share each batch:
`torchrun --nproc_per_node=2 -m worldmodel pretrain …`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from worldmodel.checkpoints.encoders import save_encoder
from worldmodel.commands.devices import choose_device
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.longer import with_earlier_steps
from worldmodel.commands.run_folder import check_sources, open_run_folder
from worldmodel.commands.training import (
    finish_training,
    followed,
    training_frames,
)
from worldmodel.commands.views import view_history, view_of
from worldmodel.data import FrameCache
from worldmodel.errors import OptionError
from worldmodel.training import distributed
from worldmodel.training.encoder_recipe import EncoderRecipe

STATE_FILE = "state.safetensors"
EXAMPLE = "worldmodel pretrain data=data/play out=runs/pretrain/first"
CARD = """# Encoder

A video ViT, pretrained without labels by `worldmodel pretrain` on {frames} frames of
play ({data}). Its recipe stands in `config.json`.
"""


def run(config: DictConfig) -> int:
    """Pretrains and writes the encoder."""
    config = with_earlier_steps(config)
    recipe: EncoderRecipe = instantiate(config.recipe)
    recipe.require_shares(distributed.launched())
    if distributed.launched() > 1 and not config.out:
        raise OptionError("out= must name the run folder that the processes share")
    device = choose_device(config.device)
    view = view_of(config, recipe.model.encoder)
    with distributed.together(device):
        with distributed.first_goes_first():
            frames = training_frames(config, view)
        if not distributed.is_first():
            state = Path(config.out).expanduser() / STATE_FILE
            recipe.train(frames, device, state)
            return 0
        with open_run_folder("pretrain", config) as run_folder:
            return _pretrain(config, recipe, frames, device, run_folder.path)


def _pretrain(
    config: DictConfig,
    recipe: EncoderRecipe,
    frames: FrameCache,
    device: torch.device,
    folder: Path,
) -> int:
    check_sources(folder, {"data": frames.fingerprint})
    with followed(
        "pretrain", recipe.schedule.steps, folder / "pretrain.jsonl"
    ) as on_step:
        state = folder / STATE_FILE
        encoder, projector = recipe.train(frames, device, state, on_step)
    history = {
        "dataset": frames.fingerprint,
        "collection": dict(frames.spec.collection),
        "frames": len(frames.frames),
        "view": view_history(config, frames.spec),
        "device": device.type,
        "recipe": OmegaConf.to_container(config.recipe, resolve=True),
    }
    card = CARD.format(frames=len(frames.frames), data=frames.fingerprint[:12])
    save_encoder(folder / "encoder", encoder, history, card, projector)
    finish_training(folder, "pretrain")
    print(f"the encoder is in {folder / 'encoder'}")
    return 0
