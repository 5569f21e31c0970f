from types import SimpleNamespace
from typing import Any, cast

import pytest
from omegaconf import OmegaConf

from worldmodel.commands.ceilings import check_ceiling_model
from worldmodel.errors import OptionError


def test_a_model_of_patch_tokens_has_no_ceilings():
    control = cast(Any, SimpleNamespace(model=object()))
    config = OmegaConf.create({"ceilings": 0, "model": "runs/ac/model"})
    check_ceiling_model(config, control)
    config.ceilings = 2
    message = "ceilings must be 0 for model=runs/ac/model, .*; got 2"
    with pytest.raises(OptionError, match=message):
        check_ceiling_model(config, control)
