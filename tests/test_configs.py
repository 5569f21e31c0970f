"""Composes every config with every choice of its groups, and makes what it names."""

import functools

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, ListConfig

from worldmodel.commands.compose import HYDRA_VERSION, group_choices
from worldmodel.commands.instantiate import instantiate
from worldmodel.commands.main import COMMANDS
from worldmodel.resources import configs_folder

FOLDER = configs_folder()
ROOTS = sorted(f.stem for f in FOLDER.glob("*.yaml"))
FILES = {f.relative_to(FOLDER).as_posix() for f in FOLDER.rglob("*.yaml")}


@functools.cache
def composed(root, *options):
    with initialize_config_dir(str(FOLDER), version_base=HYDRA_VERSION):
        return compose(root, overrides=list(options), return_hydra_config=True)


def groups(root):
    """Gives the config groups that a root config chooses from."""
    choices = composed(root).hydra.runtime.choices
    return [g for g in choices if not g.startswith("hydra/") and group_choices(g)]


def targets(node):
    """Gives the outermost nodes with a `_target_`."""
    if isinstance(node, DictConfig) and "_target_" in node:
        return [node]
    if isinstance(node, DictConfig) and not node._is_none():
        children = [node._get_node(key) for key in node if key != "hydra"]
    elif isinstance(node, ListConfig) and not node._is_none():
        children = [node._get_node(index) for index in range(len(node))]
    else:
        children = []
    return [found for child in children for found in targets(child)]


def chosen():
    """Gives every choice once, through one of the commands that have its group.

    These take turns, so every group of every command is chosen from.
    """
    own = {root: groups(root) for root in ROOTS}
    for group in sorted({group for some in own.values() for group in some}):
        roots, names = [r for r in ROOTS if group in own[r]], group_choices(group)
        for place in range(max(len(roots), len(names))):
            name = names[place % len(names)]
            yield roots[place % len(roots)], f"{group}={name}"


CHOSEN = list(chosen())


@pytest.mark.parametrize("root", ROOTS)
def test_every_command_config_makes_its_objects(root):
    made = [instantiate(node) for node in targets(composed(root))]
    assert None not in made


@pytest.mark.parametrize(("root", "choice"), CHOSEN)
def test_every_choice_of_a_command_makes_its_objects(root, choice):
    made = [instantiate(node) for node in targets(composed(root, choice))]
    assert None not in made


REST = (
    FILES
    - {f"{root}.yaml" for root in ROOTS}
    - {f"{choice.replace('=', '/')}.yaml" for _, choice in CHOSEN}
)


@pytest.mark.parametrize("file", sorted(REST))
def test_every_file_that_no_command_chooses_makes_its_objects(file):
    found = targets(composed(file))
    assert found
    assert None not in [instantiate(node) for node in found]


def test_every_command_has_a_config_and_every_config_a_command():
    assert sorted(COMMANDS) == ROOTS
