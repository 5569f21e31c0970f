"""Things: colour blobs that are always together and are not the robot."""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.data import FrameCache
from worldmodel.encoders.blobs import ColorBlobs
from worldmodel.errors import WorldModelError
from worldmodel.training.blobs import blob_places, blob_targets, unexplained

_TOGETHER = 0.2  # mean distance between two blobs of a thing, of a picture's 2
_FREE = 0.25  # least share of a place, row and column, that proprio leaves open


def find_slots(
    cache: FrameCache, blobs: ColorBlobs, sums: Tensor, count: int
) -> ColorBlobs:
    """Blobs, and the object slots that they make.

    Whatever moves without the robot is no part of it: proprio does not tell where it
    is. And colours that are always near one another, whichever of them can be seen,
    are of one thing, as a cube's faces are. No label is used.

    Args:
        cache: the decoded dataset.
        blobs: of `find_blobs`, without slots.
        sums: (N, K, 3) of `blob_sums`.
        count: slots to find, the largest ones.

    Raises:
        WorldModelError: there are fewer.
    """
    places, trust = blob_places(sums)
    free = unexplained(blob_targets(cache, sums), cache).amin(dim=1) > _FREE
    near = torch.stack(
        [
            _mean_gap(places, trust, places[:, blob : blob + 1], trust[:, blob])
            for blob in range(len(free))
        ]
    )
    joined = (near < _TOGETHER) & free[:, None] & free
    groups = _connected(joined, free)
    if len(groups) < count:
        raise WorldModelError(
            f"num_slots must be at most {len(groups)}, the groups of colour blobs in "
            f"this dataset that are not the robot, got {count}"
        )
    amount = sums[..., 0].mean(dim=0)
    groups.sort(key=lambda group: -float(amount[group].sum()))
    members = torch.zeros(count, len(blobs.colours))
    for thing, group in enumerate(groups[:count]):
        members[thing, group] = 1.0
    found = ColorBlobs(len(blobs.colours), count)
    found.set(blobs.colours, members)
    return found


def _mean_gap(places: Tensor, trust: Tensor, other: Tensor, sure: Tensor) -> Tensor:
    """Mean distance (K,) of blobs to another where both are seen; else infinite."""
    both = trust * sure[:, None]
    mean = (both * (places - other).norm(dim=-1)).sum(dim=0) / both.sum(dim=0)
    return mean.nan_to_num(nan=torch.inf)


def _connected(joined: Tensor, free: Tensor) -> list[list[int]]:
    """The blobs of each group: those that a chain of `joined` (K, K) connects."""
    left = set(free.nonzero().flatten().tolist())
    groups = []
    while left:
        group, edge = [], [min(left)]
        while edge:
            blob = edge.pop()
            if blob in left:
                left.remove(blob)
                group.append(blob)
                edge += joined[blob].nonzero().flatten().tolist()
        groups.append(sorted(group))
    return groups
