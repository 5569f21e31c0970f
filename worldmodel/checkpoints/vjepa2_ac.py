"""V-JEPA 2-AC's predictor, read from the files that were published, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor

from worldmodel.checkpoints.outline import check_fits, not_finite
from worldmodel.errors import CheckpointError
from worldmodel.files.torch_file import part_of
from worldmodel.memory import require_memory, size_of
from worldmodel.predictors.patch_predictor import PatchPredictor
from worldmodel.predictors.patch_predictor_spec import PatchPredictorSpec
from worldmodel.predictors.tiled_rope import in_halves

PART = "predictor"  # of the file, beside the encoder
UNUSED = ("extrinsics_encoder.weight", "extrinsics_encoder.bias")
"""Tensors that are in the published file and that nothing is computed with."""


def load_vjepa2_ac(
    path: str | Path, spec: PatchPredictorSpec | None = None
) -> PatchPredictor:
    """Gives V-JEPA 2-AC's predictor, frozen, from a `.pt` in the published layout.

    Every tensor of the file's predictor has its place; those in `UNUSED` are kept, and
    not used.

    Args:
        path: `vjepa2-ac-vitg.pt`, or a file like it.
        spec: the architecture, for another one than the published.

    Raises:
        CheckpointError: the file can not be read, or holds another architecture.
    """
    tensors = part_of(path, PART)
    try:
        return from_published(tensors, spec or PatchPredictorSpec())
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def from_published(
    tensors: Mapping[str, Tensor], spec: PatchPredictorSpec
) -> PatchPredictor:
    """Gives a predictor with published tensors by name; see `load_vjepa2_ac`."""
    _require_sizes(tensors, spec)
    with torch.device("meta"):
        predictor = PatchPredictor(spec)
    check_fits(predictor, PatchPredictor.__name__, tensors)
    mend = "end what else runs there, or take a machine with more"
    require_memory("the predictor in float32", size_of(predictor), "cpu", mend)
    predictor.to_empty(device="cpu").requires_grad_(False)
    own = predictor.state_dict()
    for name, tensor in tensors.items():
        own[name].copy_(_arranged(name, tensor, spec, in_halves(spec.head_dim)))
    wrong = not_finite(predictor)
    if wrong:
        raise CheckpointError(
            f"{wrong[0]} among the values of {', '.join(wrong[1:])}; take another file"
        )
    return predictor.eval()


def published(predictor: PatchPredictor) -> dict[str, Tensor]:
    """Gives a predictor's tensors as `from_published` takes them.

    `torch.save({"predictor": published(predictor)}, "mine.pt")` writes a file that
    `load_vjepa2_ac` reads, and Meta's code too.
    """
    spec = predictor.spec
    back = in_halves(spec.head_dim).argsort()
    return {
        name: _arranged(name, tensor.detach().cpu(), spec, back)
        for name, tensor in predictor.state_dict().items()
    }


def _arranged(
    name: str, tensor: Tensor, spec: PatchPredictorSpec, order: Tensor
) -> Tensor:
    """Queries' and keys' dimensions within each head in another order."""
    if ".attn.qkv." not in name:
        return tensor
    heads = tensor.unflatten(0, (3, spec.heads, spec.head_dim))
    return torch.cat((heads[:2, :, order], heads[2:])).flatten(0, 2)


def _require_sizes(tensors: Mapping[str, Tensor], spec: PatchPredictorSpec) -> None:
    """Raises CheckpointError where the tensors' shapes tell of another architecture."""
    found = _sizes(tensors)
    wanted = {name: getattr(spec, name) for name in found}
    if found == wanted:
        return
    known = {field.name: field.default for field in fields(PatchPredictorSpec)}
    others = [f"{name}={n}" for name, n in found.items() if n != known[name]]
    raise CheckpointError(
        "it holds a predictor of "
        + ", ".join(
            f"{name}={found[name]} (expected {wanted[name]})"
            for name in found
            if found[name] != wanted[name]
        )
        + f"; read it with spec=PatchPredictorSpec({', '.join(others)}, …), or take "
        "the file of the model that is wanted"
    )


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """What shapes tell of an architecture; heads and patches they do not."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    block, enter = "predictor_blocks.0.mlp.fc1.weight", "predictor_embed.weight"
    for name in (block, enter):
        if len(shapes.get(name, ())) != 2:
            raise CheckpointError(
                f"its predictor must have a matrix {name}, got "
                f"{shapes.get(name, 'none')}: it is not V-JEPA 2-AC's; take "
                "vjepa2-ac-vitg.pt"
            )
    numbers = {n.split(".")[1] for n in shapes if n.startswith("predictor_blocks.")}
    return {
        "token_dim": shapes[enter][1],
        "width": shapes[enter][0],
        "depth": len(numbers),
        "hidden": shapes[block][0],
    }
