"""The figures that say where a world model fails: imagination, cost, axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.simulation import Quantities, Simulation
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.probe import Probe

_CM_PER_M = 100.0


@dataclass(frozen=True)
class OpenLoop:
    """Error of imagination at each horizon, root mean square distance [cm].

    Attributes:
        imagined: (H,) under the true actions.
        nothing_moves: (H,) if the last seen latent is taken for the future.
        shuffled: (H,) under the actions of other episodes.
        probe_floor: (H,) of the probe itself, on the latents of the true frames.
    """

    imagined: np.ndarray
    nothing_moves: np.ndarray
    shuffled: np.ndarray
    probe_floor: np.ndarray


def open_loop(
    probe: Probe,
    imagined: np.ndarray,
    start: np.ndarray,
    shuffled: np.ndarray,
    encoded: np.ndarray,
    positions: np.ndarray,
) -> OpenLoop:
    """Measures imagination through a probe of positions [m].

    Args:
        probe: Reads K coordinates [m] from a latent.
        imagined: (N, H, P, D) under the true actions.
        start: (N, P, D) latents of the last frames seen.
        shuffled: (N, H, P, D) imagined from the same starts under actions of others.
        encoded: (N, H, P, D) latents of the true later frames.
        positions: (N, H, K) true positions [m].
    """
    still = np.broadcast_to(start[:, None], encoded.shape)
    futures = {
        "imagined": imagined,
        "nothing_moves": still,
        "shuffled": shuffled,
        "probe_floor": encoded,
    }
    for name, latents in futures.items():
        if latents.shape != encoded.shape:
            raise WorldModelError(
                f"{name} must have shape {encoded.shape} like encoded, got "
                f"{latents.shape}"
            )
    errors = {
        name: _rms_distance_cm(probe.predict(latents), positions)
        for name, latents in futures.items()
    }
    return OpenLoop(**errors)


def _rms_distance_cm(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    squares = ((predicted - true) ** 2).sum(axis=-1)  # (N, H)
    return _CM_PER_M * np.sqrt(squares.mean(axis=0))


def shuffle_actions(actions: np.ndarray, seed: int) -> np.ndarray:
    """Gives each of N >= 2 rows the actions of another row."""
    if len(actions) < 2:
        raise WorldModelError(f"shuffling needs at least 2 rows, got {len(actions)}")
    order = np.random.default_rng(seed).permutation(len(actions))
    shuffled = np.empty_like(actions)
    shuffled[order] = actions[np.roll(order, 1)]
    return shuffled


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Gives the rank correlation in [-1, 1] of two arrays, NaN if one is constant.

    Source: C. Spearman, Am. J. Psychol. 15 (1904); ties get their mean rank.
    """
    a, b = np.ravel(first), np.ravel(second)
    if a.size != b.size or a.size < 2:
        raise WorldModelError(
            f"rank correlation needs two arrays of one size >= 2, got {a.size} and "
            f"{b.size}"
        )
    ranks_a, ranks_b = _ranks(a), _ranks(b)
    if ranks_a.std() == 0 or ranks_b.std() == 0:
        return float("nan")
    return float(np.corrcoef(ranks_a, ranks_b)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]


@dataclass(frozen=True)
class CostRanking:
    """Rank correlation of a planning cost with the true distance.

    Attributes:
        along: Mean over episodes of the correlation within each.
        across: Correlation over all moments of all episodes together.
        episodes: Episodes that `along` could use (neither side constant).
    """

    along: float
    across: float
    episodes: int


def cost_ranking(costs: np.ndarray, distances: np.ndarray) -> CostRanking:
    """Compares a cost with the true distance.

    Args:
        costs: (E, T) cost of being at each moment of E episodes.
        distances: (E, T) true distances there [m].
    """
    if costs.shape != distances.shape or costs.ndim != 2:
        raise WorldModelError(
            f"costs and distances must both be (E, T), got {costs.shape} and "
            f"{distances.shape}"
        )
    within = [spearman(c, d) for c, d in zip(costs, distances, strict=True)]
    usable = [value for value in within if np.isfinite(value)]
    if not usable:
        raise WorldModelError("cost or distance is constant in every episode")
    return CostRanking(
        along=float(np.mean(usable)),
        across=spearman(costs, distances),
        episodes=len(usable),
    )


@dataclass(frozen=True)
class CandidateRanking:
    """Whether a cost tells good candidates from bad ones, as a planner needs it to.

    Attributes:
        correlation: Mean over moments of the rank correlation with the true cost.
        standard_error: Of that mean.
        elites: Where the cost's cheapest candidates stand in the true order, mean
            share of candidates that are truly cheaper: near 0 is right, 0.5 is chance.
        moments: Moments M.
    """

    correlation: float
    standard_error: float
    elites: float
    moments: int


def candidate_ranking(
    costs: np.ndarray, true: np.ndarray, elites: int
) -> CandidateRanking:
    """Compares a planning cost with the true cost of the same candidates.

    Args:
        costs: (M, N) of N candidates at each of M >= 2 moments.
        true: (M, N) true costs.
        elites: Cheapest candidates looked at, in [1, N].
    """
    if costs.shape != true.shape or costs.ndim != 2 or len(costs) < 2:
        raise WorldModelError(
            f"costs and true must both be (M >= 2, N), got {costs.shape} and "
            f"{true.shape}"
        )
    if not 1 <= elites <= costs.shape[1]:
        raise WorldModelError(f"elites must be in [1, {costs.shape[1]}], got {elites}")
    each = np.array([spearman(c, t) for c, t in zip(costs, true, strict=True)])
    if np.isnan(each).any():
        raise WorldModelError("a cost is the same for all candidates of a moment")
    chosen = np.argsort(costs, axis=1, kind="stable")[:, :elites]
    places = np.stack([_ranks(row) - 1 for row in true]) / (true.shape[1] - 1)
    return CandidateRanking(
        correlation=float(each.mean()),
        standard_error=float(each.std(ddof=1) / np.sqrt(len(each))),
        elites=float(np.take_along_axis(places, chosen, axis=1).mean()),
        moments=len(each),
    )


def axis_response(probe: Probe, plus: np.ndarray, minus: np.ndarray) -> np.ndarray:
    """Gives how far each action dimension moves the imagined gripper (A, K) [cm].

    Row a should point along coordinate a with its sign.

    Args:
        probe: Reads K coordinates [m] from a latent.
        plus: (N, A, P, D) latents imagined with action dimension a at its positive.
        minus: (N, A, P, D) the same with the negative.
    """
    moved = probe.predict(plus) - probe.predict(minus)  # (N, A, K)
    return _CM_PER_M * moved.mean(axis=0) / 2


def wrong_axes(response: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Gives the action dimensions that do not move mostly along their own axis.

    Args:
        response: (A, K) of `axis_response`, A <= K, dimension a belonging to axis a.
        names: A names of the action dimensions.
    """
    rows = response[: len(names)]
    return [
        name
        for a, (name, row) in enumerate(zip(names, rows, strict=True))
        if row[a] <= 0 or np.abs(row).argmax() != a
    ]


def quantities_of(sim_states: np.ndarray) -> list[Quantities]:
    """Gives the physical quantities of recorded simulator states (N, n)."""
    simulation = Simulation()
    quantities = []
    for state in sim_states:
        simulation.set_state(state)
        quantities.append(simulation.quantities())
    return quantities
