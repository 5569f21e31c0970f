import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.synthetic import action_spec, dataset_spec, episode, same
from worldmodel.data import (
    DatasetError,
    DatasetWriter,
    LeRobotDataset,
    layout,
    stage_episode,
)
from worldmodel.data import writer as writer_module

ROOT = Path(__file__).parents[2]
SHARD_BYTES = 8000  # two or three episodes
COLLECT = """
import sys, time
from tests.data.synthetic import dataset_spec, episode
from worldmodel.data import DatasetWriter
with DatasetWriter(sys.argv[1], dataset_spec()) as writer:
    for index in writer.missing(int(sys.argv[2])):
        writer.add(index, episode(index))
        sys.stdout.write(f"{index}\\n")
        sys.stdout.flush()
"""
HOLD_LOCK = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_SHARD_BYTES", SHARD_BYTES)


def _collect(root: Path, total: int) -> None:
    with DatasetWriter(root, dataset_spec()) as writer:
        for index in writer.missing(total):
            writer.add(index, episode(index))


def _contents(root: Path) -> dict[str, bytes]:
    files = (file for file in root.rglob("*") if file.is_file())
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def _assert_holds(root: Path, indices: range) -> None:
    dataset = LeRobotDataset.open(root)
    assert set(indices) <= set(dataset.indices)
    for index in dataset.indices:
        assert same(dataset.episode(index), episode(index))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("whole") / "play"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "_SHARD_BYTES", SHARD_BYTES)
        _collect(root, 9)
    return _contents(root)


def test_a_dataset_spans_several_files(uninterrupted: dict[str, bytes]) -> None:
    assert {f"data/chunk-000/file-00{i}.parquet" for i in range(3)} <= set(
        uninterrupted
    )
    assert not any("staging" in name for name in uninterrupted)


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_bytes_do_not_tell_who_staged_and_when(
    tmp_path: Path, uninterrupted: dict[str, bytes], shuffled: bool
) -> None:
    root = tmp_path / "play"
    order = np.random.default_rng(0).permutation(9) if shuffled else np.arange(9)
    with DatasetWriter(root, dataset_spec()) as writer:
        for index in order.tolist():
            stage_episode(root, dataset_spec(), index, episode(index))
            if index % 2:
                writer.commit()
    assert _contents(root) == uninterrupted


def test_stopping_and_going_on_gives_the_same_bytes(
    tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    for total in (2, 3, 7, 9):
        _collect(tmp_path / "play", total)
    assert _contents(tmp_path / "play") == uninterrupted


def _kill_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Lets the process die at its step-th rename or removal of a file."""
    steps = itertools.count()

    def dying(call: Callable[..., None]) -> Callable[..., None]:
        def die_or_call(*values: object, **named: object) -> None:
            if next(steps) == step:
                raise Killed
            call(*values, **named)

        return die_or_call

    patch.setattr(os, "replace", dying(os.replace))
    patch.setattr(os, "unlink", dying(os.unlink))


def test_a_kill_between_any_two_steps_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _collect(tmp_path / "whole", 3)
    whole = _contents(tmp_path / "whole")
    assert "data/chunk-000/file-001.parquet" in whole
    for step in itertools.count():
        root, finished = tmp_path / f"killed-{step}", 0
        try:
            with (
                monkeypatch.context() as patch,
                DatasetWriter(root, dataset_spec()) as writer,
            ):
                _kill_at(step, patch)
                for index in range(3):
                    stage_episode(root, dataset_spec(), index, episode(index))
                    finished += 1
                    if index != 1:  # the last commit then begins a second data file
                        writer.commit()
        except Killed:
            if finished:
                _assert_holds(root, range(finished))
            _collect(root, 3)
            assert _contents(root) == whole
        else:
            break
    assert step > 20


def test_a_killed_process_loses_no_finished_episode(
    tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    root = tmp_path / "play"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", COLLECT, str(root), "4000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        finished = [int(process.stdout.readline()) for _ in range(4)]
        time.sleep(0.03)
        process.send_signal(signal.SIGKILL)
        finished += [int(line) for line in process.stdout.read().split()]
    assert process.returncode == -signal.SIGKILL
    _assert_holds(root, range(len(finished)))
    total = len(LeRobotDataset.open(root)) + 2
    _collect(root, total)
    whole = tmp_path / "whole"
    _collect(whole, total)
    _assert_holds(root, range(total))
    assert LeRobotDataset.open(root).fingerprint() == (
        LeRobotDataset.open(whole).fingerprint()
    )


def test_an_episode_finished_out_of_order_is_not_lost(tmp_path: Path) -> None:
    root = tmp_path / "play"
    with pytest.raises(Killed), DatasetWriter(root, dataset_spec()) as writer:
        for index in (0, 1, 4):
            stage_episode(root, dataset_spec(), index, episode(index))
        writer.commit()
        raise Killed
    dataset = LeRobotDataset.open(root)
    assert dataset.indices == (0, 1, 4)
    assert same(dataset.episode(4), episode(4))
    with DatasetWriter(root, dataset_spec()) as writer:
        assert writer.missing(6) == [2, 3, 5]


def test_a_torn_staged_file_counts_as_not_finished(tmp_path: Path) -> None:
    root = tmp_path / "play"
    _collect(root, 2)
    stage_episode(root, dataset_spec(), 2, episode(2))
    file = layout.staged_file(root, 2)
    file.write_bytes(file.read_bytes()[:-100])
    assert LeRobotDataset.open(root).indices == (0, 1)
    with DatasetWriter(root, dataset_spec()) as writer:
        assert writer.missing(3) == [2]


def test_other_options_do_not_mix_into_a_dataset(tmp_path: Path) -> None:
    _collect(tmp_path / "play", 1)
    message = r"worldmodel\.collection\.seed: it has 0, now 7"
    with pytest.raises(DatasetError, match=message):
        DatasetWriter(tmp_path / "play", dataset_spec(seed=7))


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(
        DatasetError, match=r"not a dataset and not empty .*thesis\.tex"
    ):
        DatasetWriter(tmp_path, dataset_spec())
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    root = tmp_path / "play"
    _collect(root, 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(root / layout.LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DatasetError, match="play is in use by another process"):
            DatasetWriter(root, dataset_spec())
        other.communicate()
    DatasetWriter(root, dataset_spec()).close()


def test_a_frame_of_the_wrong_shape_is_not_written(tmp_path: Path) -> None:
    wrong = episode(0)
    wrong = type(wrong)(
        wrong.frames[:, :-1], wrong.actions, wrong.proprio, wrong.sim_state
    )
    message = r"episode 0: frames must be \(12, 16, 3\) each, got \(11, 16, 3\)"
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        with pytest.raises(DatasetError, match=message):
            writer.add(0, wrong)
        assert writer.missing(1) == [0]


def test_an_episode_is_added_once(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        writer.add(0, episode(0))
        with pytest.raises(DatasetError, match="already has episode 0"):
            writer.add(0, episode(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sim_state_size": 0}, "sim_state_size must be at least 1, got 0"),
        ({"proprio_names": ()}, "proprio_names must not be empty"),
        ({"action_spec": action_spec(29.97)}, "holds whole frame rates only, got rate"),
        ({"action_spec": replace(action_spec(), block=2)}, "block must be 1, got 2"),
    ],
)
def test_what_the_format_does_not_hold_is_not_written(change, message, tmp_path):
    spec = replace(dataset_spec(), **change)
    with pytest.raises(DatasetError, match=message):
        DatasetWriter(tmp_path / "play", spec)
    assert not (tmp_path / "play" / layout.INFO).exists()
