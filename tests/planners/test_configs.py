"""Every planner's YAML builds its planner and names all of its settings."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from worldmodel.commands.compose import HYDRA_VERSION

FOLDER = Path(__file__).parents[2] / "configs" / "planner"


def _settings(node):
    """A planner's settings, those of the planners in it too, without their classes."""
    if not isinstance(node, dict):
        return node
    return {key: _settings(value) for key, value in node.items() if key != "_target_"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_config_builds_its_planner_and_names_every_setting(path):
    config = OmegaConf.load(path)
    if "planner" in config:  # published ones say more than the planner
        config = config.planner
    planner = instantiate(config)
    written = OmegaConf.to_container(config)
    assert isinstance(written, dict)
    assert written["_target_"] == f"planners.{type(planner).__name__}"
    # Settings that the YAML leaves out could not be overridden on the command line.
    assert _settings(written) == asdict(planner)


def test_a_published_planner_brings_its_horizon_and_replaces_the_default():
    with initialize_config_dir(str(FOLDER.parent), version_base=HYDRA_VERSION):
        config = compose("evaluate", overrides=["planner=tdmpc2"])
        chosen = compose("evaluate", overrides=["planner=tdmpc2", "horizon=4"])
    assert (config.horizon, config.execute, config.proposals) == (3, 1, 24)
    assert chosen.horizon == 4
    assert "mean_momentum" in config.planner
    assert "kept" not in config.planner
