"""One task's problems, and the rows of results that are run on them and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from envs.tabletop import TabletopEnv
from worldmodel.errors import OptionError
from worldmodel.evaluation.episode import Episode
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
    """

    key: str
    method: Method
    policy: Callable[[], Policy]
    timing: Callable[[], Timing | None] = lambda: None
    watch: Watch | None = None
    finish: OnEpisode = lambda episode: None


@dataclass(frozen=True)
class Bench:
    """Runs rows on the problems of one task; finished rows are kept as files.

    Attributes:
        env: An environment of the task.
        problems: The problems.
        folder: Where the files of finished rows are.
        group: Problems side by side.
        place: The machine.
        advance: Called with the number of episodes that are done.
    """

    env: TabletopEnv
    problems: ProblemSet
    folder: Path
    group: int
    place: Place
    advance: Callable[[int], object]

    def head(self, n: int) -> Bench:
        """Gives a bench with the first n problems only."""
        return replace(self, problems=self.problems.head(n))

    def row(self, protocol_name: str, job: Job) -> Row:
        """Gives a row, from its file where an earlier run has finished it.

        Raises:
            OptionError: The file holds a row of other problems or another model.
        """
        protocol = self.problems.protocol(protocol_name, self.env.budget)
        path = self.folder / f"{protocol.task.lower()}_{job.key}.json"
        if path.is_file():
            (row,) = load_results(path).rows
            wanted = (protocol, self.problems.fingerprint, job.method)
            if (row.protocol, row.problems, row.method) != wanted:
                raise OptionError(
                    f"{path} was run with another model or on other problems; choose "
                    "another out="
                )
            self.advance(len(row.episodes))
            return row
        timing = job.timing()
        episodes = []
        running = run(
            self.problems, protocol, job.policy(), self.env, self.group, job.watch
        )
        for episode in running:
            job.finish(episode)
            episodes.append(episode)
            self.advance(1)
        row = Row(
            protocol=protocol,
            problems=self.problems.fingerprint,
            method=job.method,
            timing=timing,
            episodes=tuple(episodes),
        )
        save_results(self.place.results([row]), path)
        return row

    def part(self, protocol_name: str, whole: Row) -> Row:
        """Gives the episodes of a row that belong to this bench's problems.

        They are the first ones, as they were run.
        """
        return Row(
            protocol=self.problems.protocol(protocol_name, self.env.budget),
            problems=self.problems.fingerprint,
            method=whole.method,
            timing=whole.timing,
            episodes=whole.episodes[: len(self.problems)],
        )
