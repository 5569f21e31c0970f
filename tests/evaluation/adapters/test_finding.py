import importlib.metadata

import pytest

from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters import Adapter
from worldmodel.evaluation.adapters.finding import (
    GROUP,
    SHIPPED,
    find_adapter,
    make_adapter,
    require_methods,
)

OWN = "from worldmodel.evaluation.adapters import Adapter\nclass Mine(Adapter): pass\n"


@pytest.mark.parametrize("env_id", SHIPPED)
def test_shipped_adapters_say_all_that_commands_ask_for(env_id):
    kind = find_adapter(env_id)
    methods = ("state", "restore", "distances", "tolerances", "problem")
    require_methods(kind, methods, env_id)
    assert kind is not Adapter


def test_an_env_that_nobody_knows_gets_the_plain_adapter():
    assert find_adapter("Pendulum-v1") is Adapter


def test_a_file_is_imported_with_what_lies_beside_it(tmp_path):
    (tmp_path / "beside_mine.py").write_text("NAME = 'beside'\n")
    file = tmp_path / "mine.py"
    file.write_text(f"{OWN}from beside_mine import NAME\nMine.proprio = NAME\n")
    assert find_adapter("Pendulum-v1", f"{file}:Mine").proprio == "beside"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("mine.py", "must be file.py:Class or package.module:Class, got 'mine.py'"),
        ("none.py:Mine", "adapter=none.py: there is no such file"),
        ("no.such.module:Mine", "adapter=no.such.module cannot be imported"),
        ("json:JSONDecoder", "must be a subclass of worldmodel.evaluation.adapters"),
        ("{file}:Other", "mine.py has no Other, its adapters are: Adapter, Mine"),
        ("{broken}:Mine", "broken.py cannot be imported"),
    ],
)
def test_a_name_that_leads_nowhere_is_one_line(named, message, tmp_path):
    file, broken = tmp_path / "mine.py", tmp_path / "broken.py"
    file.write_text(OWN)
    broken.write_text("import no_such_package\n")
    with pytest.raises(OptionError, match=message) as caught:
        find_adapter("Pendulum-v1", named.format(file=file, broken=broken))
    assert "\n" not in str(caught.value)


def test_an_entry_point_of_the_envs_id_is_the_adapter(monkeypatch):
    entry = importlib.metadata.EntryPoint(
        "my/Robot-v0", "worldmodel.evaluation.adapters.tabletop:Tabletop", GROUP
    )
    points = importlib.metadata.EntryPoints((entry,))
    monkeypatch.setattr(importlib.metadata, "entry_points", points.select)
    assert find_adapter("my/Robot-v0").__name__ == "Tabletop"
    assert find_adapter("my/Other-v0") is Adapter


def test_a_missing_package_is_one_line_that_says_what_to_install(monkeypatch):
    kind = find_adapter("gym_pusht/PushT-v0")
    monkeypatch.setattr(kind, "module", "no_such_package")
    message = r"No module named 'no_such_package'.: pip install 'worldmodel-planner\[pu"
    with pytest.raises(OptionError, match=message):
        make_adapter("gym_pusht/PushT-v0", kind)


def test_an_env_that_is_not_registered_lists_those_that_are_known():
    with pytest.raises(OptionError, match="no env Nowhere-v3 is registered .*PushT-v0"):
        make_adapter("Nowhere-v3", Adapter)


def test_what_an_adapter_lacks_is_named():
    message = "env=A-v0 needs restore, tolerances, which the adapter Adapter lacks"
    with pytest.raises(OptionError, match=message):
        require_methods(Adapter, ("restore", "tolerances"), "A-v0")
