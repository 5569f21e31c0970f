"""Every planner's YAML builds its planner and names all of its settings."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

FOLDER = Path(__file__).parents[2] / "configs" / "planner"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_config_builds_its_planner_and_names_every_setting(path):
    config = OmegaConf.load(path)
    planner = instantiate(config)
    written = OmegaConf.to_container(config)
    assert isinstance(written, dict)
    assert written.pop("_target_") == f"planners.{type(planner).__name__}"
    # Settings that the YAML leaves out could not be overridden on the command line.
    assert written == asdict(planner)
