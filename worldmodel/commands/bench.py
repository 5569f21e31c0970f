"""One task's problems, and the rows of results that are run on them and kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from worldmodel.commands.filming import file_name
from worldmodel.errors import OptionError
from worldmodel.evaluation.arena import Arena
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.groups import Conditions, Group, KeptGroups
from worldmodel.evaluation.policy import Policy
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.results import (
    RESULTS_VERSION,
    Method,
    Results,
    Row,
    load_results,
    now_utc,
    save_results,
)
from worldmodel.evaluation.runner import Watch, run
from worldmodel.evaluation.timing import Timing
from worldmodel.hardware import Hardware, software

OnEpisode = Callable[[Episode], None]


@dataclass(frozen=True)
class Share:
    """A group of a row, for another process to run.

    Attributes:
        key: Of the row.
        timing: Of the row.
        start: Number of the group's first problem.
    """

    key: str
    timing: Timing | None
    start: int


Elsewhere = Callable[[list[Share]], Generator[Share, None, None]]
"""Runs groups in other processes, and gives them as they are kept."""


@dataclass(frozen=True)
class Place:
    """The machine that rows are run on.

    Attributes:
        hardware: What computes.
        gl: What renders.
    """

    hardware: Hardware
    gl: str

    def results(self, rows: list[Row]) -> Results:
        """Wraps rows for a results file of this moment."""
        return Results(
            version=RESULTS_VERSION,
            created=now_utc(),
            hardware=self.hardware,
            gl=self.gl,
            software=software(),
            rows=tuple(rows),
        )


@dataclass(frozen=True)
class Job:
    """A row that is to be run.

    Attributes:
        key: Names the row's file, together with the task.
        method: What the row is called, and its settings.
        policy: Makes the policy.
        timing: Measures milliseconds per action, before the run.
        watch: Passed on to the runner.
        finish: Called with every finished episode.
        recall: Called with every group that an earlier run has finished, or another
            process, in its place.
        conclude: Called when all groups are there.
        can_spread: Whether its groups may be run by other processes.
    """

    key: str
    method: Method
    policy: Callable[[], Policy]
    timing: Callable[[], Timing | None] = lambda: None
    watch: Watch | None = None
    finish: OnEpisode = lambda episode: None
    recall: Callable[[Sequence[Episode]], None] = lambda episodes: None
    conclude: Callable[[], None] = lambda: None
    can_spread: bool = False


@dataclass(frozen=True)
class Bench:
    """Runs rows on the problems of one task; keeps finished groups and rows as files.

    Attributes:
        arena: Where they run.
        problems: The problems.
        folder: Where the files of finished rows are.
        group: Problems side by side.
        place: The machine.
        advance: Called with the number of episodes that are done.
        elsewhere: Runs groups in other processes; None to run them in this one.
    """

    arena: Arena
    problems: ProblemSet
    folder: Path
    group: int
    place: Place
    advance: Callable[[int], object]
    elsewhere: Elsewhere | None = None

    def head(self, n: int) -> Bench:
        """Gives a bench with the first n problems only."""
        return replace(self, problems=self.problems.head(n))

    def rows(self, protocol_name: str, jobs: Sequence[Job]) -> list[Row]:
        """Gives a row for each job; see `row`.

        The groups of all that other processes may run are handed out together, so that
        these start once.
        """
        counted = dict.fromkeys((job.key for job in jobs), 0)
        spread = [job for job in jobs if job.can_spread and self.elsewhere is not None]
        shares = [s for job in spread for s in self._shares(protocol_name, job)]
        if self.elsewhere is not None and shares:
            with closing(self.elsewhere(shares)) as finished:
                for share in finished:
                    count = min(self.group, len(self.problems) - share.start)
                    counted[share.key] += count
                    self.advance(count)
        return [self.row(protocol_name, job, counted[job.key]) for job in jobs]

    def row(self, protocol_name: str, job: Job, counted: int = 0) -> Row:
        """Gives a row; what an earlier run has finished of it is taken from files.

        Args:
            protocol_name: Name of the protocol.
            job: What is run.
            counted: Its episodes that `advance` has been told of already.

        Raises:
            WorldModelError: A file is of other problems or another model.
        """
        kept = self.kept(protocol_name, job)
        if _row_file(kept).is_file():
            row = self._finished(_row_file(kept), kept.conditions)
        else:
            groups = self._groups(job, kept, counted)
            row = Row(
                protocol=kept.conditions.protocol,
                problems=self.problems.fingerprint,
                method=job.method,
                timing=groups[0].timing,
                episodes=tuple(e for group in groups for e in group.episodes),
            )
            save_results(self.place.results([row]), _row_file(kept))
        kept.clear()
        return row

    def kept(self, protocol_name: str, job: Job) -> KeptGroups:
        """Gives the files of a row's finished groups."""
        protocol = self.problems.protocol(protocol_name, self.arena.budget)
        method, problems = job.method, self.problems.fingerprint
        return KeptGroups(
            self.folder / f"{file_name(protocol.task)}_{job.key}",
            Conditions(protocol, problems, method, self.group),
        )

    def _finished(self, path: Path, wanted: Conditions) -> Row:
        (row,) = load_results(path).rows
        found = Conditions(row.protocol, row.problems, row.method, wanted.group)
        if found != wanted:
            raise OptionError(
                f"{path} was run with another model or on other problems; choose "
                "another out="
            )
        self.advance(len(row.episodes))
        return row

    def _groups(self, job: Job, kept: KeptGroups, counted: int) -> list[Group]:
        """Gives all groups of a row: those that are kept, and then the others."""
        groups = kept.load()
        self.advance(sum(len(group.episodes) for group in groups) - counted)
        timing = groups[0].timing if groups else job.timing()
        for group in groups:
            job.recall(group.episodes)
        starts = range(len(groups) * self.group, len(self.problems), self.group)
        policy = job.policy() if starts else None
        groups += [self.run_group(job, kept, timing, start, policy) for start in starts]
        job.conclude()
        return groups

    def _shares(self, protocol_name: str, job: Job) -> list[Share]:
        """Gives the groups of a row that no file has yet."""
        kept = self.kept(protocol_name, job)
        if _row_file(kept).is_file():
            return []
        groups = kept.load()
        timing = groups[0].timing if groups else job.timing()
        return [Share(job.key, timing, start) for start in kept.missing()]

    def run_group(
        self,
        job: Job,
        kept: KeptGroups,
        timing: Timing | None,
        start: int,
        policy: Policy | None = None,
    ) -> Group:
        """Runs the group whose first problem is number `start`, and keeps it.

        Args:
            job: Whose row it is.
            kept: Where the row's groups are kept.
            timing: Of the row.
            start: Ends a group, or is 0.
            policy: To use again, None to make one.
        """
        running = run(
            self.problems,
            kept.conditions.protocol,
            policy or job.policy(),
            self.arena.envs,
            self.group,
            job.watch,
            start,
        )
        episodes = tuple(islice(running, self.group))
        for episode in episodes:
            job.finish(episode)
        group = Group(kept.conditions, timing, episodes)
        kept.save(start, group)
        self.advance(len(episodes))
        return group

    def part(self, protocol_name: str, whole: Row) -> Row:
        """Gives the episodes of a row that belong to this bench's problems.

        They are the first ones, as they were run.
        """
        return Row(
            protocol=self.problems.protocol(protocol_name, self.arena.budget),
            problems=self.problems.fingerprint,
            method=whole.method,
            timing=whole.timing,
            episodes=whole.episodes[: len(self.problems)],
        )


def _row_file(kept: KeptGroups) -> Path:
    """The file of a row whose groups are all there."""
    return kept.folder.with_name(f"{kept.folder.name}.json")
