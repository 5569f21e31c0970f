"""Guards the layer table of docs/design.md, section 2, over every import there is."""

import ast
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("planners", "envs", "worldmodel")
CORE_LIBRARIES = {"torch", "numpy", "safetensors", "pyarrow", "av", "PIL"}

# what a layer may import besides the standard library and itself
ALLOWED = {
    "planners": {"torch", "numpy", "cma", "threadpoolctl"},
    "envs": {"mujoco", "gymnasium", "numpy", "mink", "OpenGL"},
    "worldmodel": CORE_LIBRARIES | {"huggingface_hub", "transformers"},
    "worldmodel.evaluation": CORE_LIBRARIES
    | {"worldmodel", "planners", "envs", "mujoco", "gymnasium", "imageio"},
    "worldmodel.commands": CORE_LIBRARIES
    | {"worldmodel", "worldmodel.evaluation", "planners", "envs"}
    | {
        "mujoco",
        "gymnasium",
        "imageio",
        "hydra",
        "omegaconf",
        "yaml",
        "tqdm",
        "matplotlib",
        "ray",
    },
}
MODULE_OF_DISTRIBUTION = {"hydra-core": "hydra", "pillow": "PIL"}
BROUGHT_ALONG = {"omegaconf": "hydra", "yaml": "hydra", "OpenGL": "mujoco"}


def modules():
    """Gives the path of every module of ours by its dotted name."""
    found = {}
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            names = path.relative_to(ROOT).with_suffix("").parts
            if names[-1] == "__init__":
                names = names[:-1]
            found[".".join(names)] = path
    return found


def imports(name, path, known):
    """Gives the dotted names that a module imports, also inside functions."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in known else base)
    return found - {name}


def layer(name):
    """Gives the layer of a module, or the library that it belongs to."""
    if name == "worldmodel.__main__":  # `python -m worldmodel`, the console script
        return "worldmodel.commands"
    for special in ("worldmodel.evaluation", "worldmodel.commands"):
        if name == special or name.startswith(f"{special}."):
            return special
    return name.partition(".")[0]


def violations(name, imported):
    own = layer(name)
    return [
        f"{name} ({own}) imports {other}"
        for other in sorted(imported)
        if layer(other) not in sys.stdlib_module_names
        and layer(other) not in ALLOWED[own] | {own}
    ]


MODULES = modules()
GRAPH = {name: imports(name, path, MODULES) for name, path in MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_its_layer_may(name):
    assert violations(name, GRAPH[name]) == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("planners.cem", "worldmodel.model"),
        ("planners.cem", "hydra"),
        ("envs.arm", "torch"),
        ("envs.arm", "planners.cem"),
        ("worldmodel.model", "planners.cem"),
        ("worldmodel.data.reader", "envs.tasks"),
        ("worldmodel.data.reader", "omegaconf"),
        ("worldmodel.model", "worldmodel.evaluation.runner"),
        ("worldmodel.evaluation.runner", "worldmodel.commands.compose"),
        ("worldmodel.evaluation.runner", "hydra.utils"),
        ("worldmodel.model", "requests"),
        ("worldmodel.evaluation.runner", "benchmarks.gates"),
    ],
)
def test_the_guard_sees_a_forbidden_import(name, other):
    assert violations(name, {other}) == [f"{name} ({layer(name)}) imports {other}"]


def test_the_guard_reads_relative_and_late_imports(tmp_path):
    path = tmp_path / "b.py"
    path.write_text("from . import a\ndef f():\n    from ..c import d\n    import e.g")
    known = {"p.q.a", "p.c"}
    assert imports("p.q.b", path, known) == {"p.q.a", "p.c", "e.g"}


def test_no_module_imports_itself_through_others():
    ours = {name: {o for o in GRAPH[name] if o in MODULES} for name in MODULES}
    assert cycle_of(ours) == []


def test_the_guard_sees_a_cycle():
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == set("abc")


def cycle_of(graph):
    """Gives one cycle of a graph of imports, [] if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_planners_do_not_import_each_other():
    planners = {name for name, path in MODULES.items() if holds_a_planner(name, path)}
    crossings = [(p, o) for p in planners for o in GRAPH[p] if o in planners]
    assert planners
    assert crossings == []


def holds_a_planner(name, path):
    """Tells whether a module defines a class with a `plan` method, not a Protocol."""
    if layer(name) != "planners":
        return False
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and "Protocol" not in map(
            ast.unparse, node.bases
        ):
            methods = {m.name for m in node.body if isinstance(m, ast.FunctionDef)}
            if "plan" in methods:
                return True
    return False


def test_every_imported_library_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [
        name
        for part in ("plots", "tensorboard", "hub", "encoders", "ray")
        for name in extras[part]
    ]
    names = [d.split(">")[0].split("=")[0].strip() for d in wanted]
    declared = {MODULE_OF_DISTRIBUTION.get(name, name) for name in names}
    used = {
        layer(o)
        for imported in GRAPH.values()
        for o in imported
        if layer(o) not in sys.stdlib_module_names
        and layer(o).split(".")[0] not in PARTS
    }
    assert {BROUGHT_ALONG.get(name, name) for name in used} <= declared


def test_every_dependency_has_a_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = project["dependencies"] + [name for extra in extras for name in extra]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line}
    assert {w.split(">")[0].lower() for w in wanted} <= pinned
