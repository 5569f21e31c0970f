"""Datasets that others recorded, most of them by the real LeRobot client."""

import itertools
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.data.lerobot_like import (
    CAMERA,
    DATA,
    REAL,
    RECORDS,
    TASKS,
    VIDEO,
    Made,
    change,
    change_info,
    change_rows,
    write,
)
from worldmodel.data import DatasetError, FrameCache, View, open_dataset
from worldmodel.data.foreign import ForeignDataset
from worldmodel.data.pictures import resized

LENGTHS = {
    "pusht_many_files": [33, 56, 17, 64, 2, 40, 64, 9],
    "pusht_video": [64] * 20,
    "pusht_two_cameras": [64] * 5,
}
TOP = View("observation.images.top")


def real(name: str, view: View | None = None) -> ForeignDataset:
    default = TOP if name == "pusht_two_cameras" else None
    dataset = open_dataset(REAL / name, view or default)
    assert isinstance(dataset, ForeignDataset)
    return dataset


def opened(root: Path, view: View | None = None) -> ForeignDataset:
    dataset = open_dataset(root, view)
    assert isinstance(dataset, ForeignDataset)
    return dataset


@pytest.mark.parametrize("name", LENGTHS)
def test_what_the_client_wrote_opens(name):
    dataset = real(name)
    assert [record.length for record in dataset.records] == LENGTHS[name]
    assert dataset.indices == tuple(range(len(LENGTHS[name])))
    assert dataset.frames == sum(LENGTHS[name])
    assert dataset.spec.proprio_names == ("agent_x", "agent_y")
    assert dataset.spec.action_spec.names == ("x", "y")
    assert (dataset.spec.height, dataset.spec.width, dataset.spec.fps) == (96, 96, 10)
    assert dataset.spec.robot_type == "2d pointer"
    assert dict(dataset.spec.collection) == {}


def all_frames(file: Path) -> list[np.ndarray]:
    with av.open(str(file)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


@pytest.mark.parametrize("name", ["pusht_many_files", "pusht_video"])
def test_frames_are_those_at_their_index_in_the_video(name):
    dataset = real(name)
    rows = pq.read_table(REAL / name / RECORDS).to_pylist()
    key = f"videos/{dataset.cameras[0]}"
    for file, group in itertools.groupby(rows, lambda row: row[f"{key}/file_index"]):
        film = all_frames(REAL / name / f"{key}/chunk-000/file-{file:03d}.mp4")
        first = 0
        for row in group:
            frames = dataset.episode(row["episode_index"]).frames
            wanted = film[first : first + row["length"]]
            assert np.array_equal(frames, wanted)
            first += row["length"]
        assert first == len(film)


def test_pictures_in_parquet_are_decoded():
    frames = real("pusht_two_cameras").episode(4).frames
    wrist = (
        real("pusht_two_cameras", View("observation.images.wrist")).episode(4).frames
    )
    assert np.array_equal(frames, wrist)  # the same picture was recorded twice
    assert frames.std() > 10


@pytest.mark.parametrize("name", LENGTHS)
def test_actions_fill_their_range_and_come_back(name):
    dataset = real(name)
    spec = dataset.spec.action_spec
    actions = np.concatenate([dataset.episode(i).actions for i in dataset.indices])
    recorded = np.concatenate([dataset.numbers(i)[0] for i in dataset.indices])
    assert actions.min(axis=0).tolist() == [-1, -1]
    assert actions.max(axis=0).tolist() == [1, 1]
    assert np.allclose(spec.in_units(actions), recorded, atol=1e-4)
    assert spec.absolute


def test_several_cameras_are_put_side_by_side(tmp_path):
    made = Made(height=32, width=48)
    left, right = write(tmp_path / "a", made), write(tmp_path / "b", made)
    wrist = "observation.images.wrist"
    change_rows(
        left / DATA,
        lambda table: table.append_column(
            wrist, pq.read_table(right / DATA)[CAMERA].take(list(range(15))[::-1])
        ),
    )
    change_info(left, f"features/{wrist}", {"dtype": "image", "shape": [32, 48, 3]})
    single = [opened(left, View(name)) for name in (CAMERA, wrist)]
    both = opened(left, View([CAMERA, wrist]))
    assert both.cameras == both.spec.cameras == (CAMERA, wrist)
    assert (both.spec.height, both.spec.width) == (32, 96)
    for index in both.indices:
        parts = [dataset.episode(index).frames for dataset in single]
        assert not np.array_equal(parts[0], parts[1])
        assert np.array_equal(both.episode(index).frames, np.concatenate(parts, 2))
    turned = opened(left, View([wrist, CAMERA]))
    assert turned.fingerprint() != both.fingerprint()
    assert turned.cache_name != both.cache_name
    small = opened(left, View([CAMERA, wrist], height=16, width=32))
    thin = opened(left, View(wrist, height=16, width=16))
    assert small.episode(0).frames.shape == (5, 16, 32, 3)
    assert np.array_equal(small.episode(0).frames[:, :, 16:], thin.episode(0).frames)


def test_cameras_of_different_sizes_get_the_height_of_the_first(tmp_path):
    root = write(tmp_path, Made(height=32, width=48))
    wrist = "observation.images.wrist"
    other = write(tmp_path / "other", Made(height=64, width=32))
    column = pq.read_table(other / DATA)[CAMERA]
    change_rows(root / DATA, lambda table: table.append_column(wrist, column))
    change_info(root, f"features/{wrist}", {"dtype": "image", "shape": [64, 32, 3]})
    frames = opened(root, View([CAMERA, wrist])).episode(1).frames
    assert frames.shape == (3, 32, 48 + 16, 3)
    both = opened(root, View([CAMERA, wrist], height=16, width=32)).episode(1).frames
    assert both.shape == (3, 16, 32, 3)


def test_several_cameras_need_a_name():
    with pytest.raises(DatasetError) as caught:
        open_dataset(REAL / "pusht_two_cameras")
    assert str(caught.value).endswith(
        "has 2 cameras, name one with camera=, or several with camera=[…], of: "
        "observation.images.top, observation.images.wrist"
    )
    with pytest.raises(DatasetError, match=r"unknown camera 'left' .* known are: obs"):
        open_dataset(REAL / "pusht_two_cameras", View("left"))


def test_tasks_are_told():
    told = [record.task for record in real("pusht_many_files").records]
    assert told == ["move about", "push T"] * 4


@pytest.mark.parametrize("codec", ["PNG", "JPEG", "libx264", "libx265", "libsvtav1"])
def test_every_frame_is_of_its_episode_and_step(codec, tmp_path):
    made = Made(codec=codec, height=64, width=64)  # the smallest of AV1's encoder
    dataset = opened(write(tmp_path, made))
    for index, length in enumerate(made.lengths):
        frames = dataset.episode(index).frames.astype(int)
        wanted = np.array([made.colour(index, step) for step in range(length)])
        assert np.abs(frames.mean(axis=(1, 2)) - wanted).max() < 6


@pytest.mark.parametrize("fps", [29.97, 30000 / 1001, 7.5])
def test_a_frame_rate_need_not_be_whole(fps, tmp_path):
    made = Made(fps=fps, codec="libx264", lengths=(4, 6, 5))
    dataset = opened(write(tmp_path, made))
    assert dataset.spec.fps == fps
    reds = [dataset.episode(i).frames[:, 0, 0, 0].astype(int) for i in range(3)]
    assert all(np.ptp(red) < 8 for red in reds)
    assert np.diff([red[0] for red in reds]).min() > 40


def test_a_start_one_bit_late_takes_no_neighbours_frame(tmp_path):
    made = Made(codec="libx264")
    write(tmp_path, made)
    before = [opened(tmp_path).episode(i).frames for i in range(3)]
    change(
        tmp_path / RECORDS,
        f"videos/{CAMERA}/from_timestamp",
        lambda times: [np.nextafter(time, np.inf) for time in times],
    )
    after = [opened(tmp_path).episode(i).frames for i in range(3)]
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize("group", [1, 4, 1000])
def test_episodes_may_share_row_groups_or_not(group, tmp_path):
    made = Made(group=group)
    dataset = opened(write(tmp_path, made))
    for index, length in enumerate(made.lengths):
        episode = dataset.episode(index)
        wanted = [made.colour(index, step) for step in range(length)]
        assert np.array_equal(episode.frames[:, 0, 0], np.array(wanted))
        assert episode.proprio.shape == (length, 3)


def test_rows_of_episodes_may_lie_in_any_order(tmp_path):
    write(tmp_path, Made())
    before = [opened(tmp_path).episode(i).frames for i in range(3)]
    change_rows(tmp_path / DATA, lambda t: t.take([*range(8, 15), *range(8)]))
    change_rows(tmp_path / RECORDS, lambda table: table.take([2, 0, 1]))
    after = [opened(tmp_path).episode(i).frames for i in range(3)]
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize("state", [0, 1])
def test_proprio_may_be_absent_or_one_number(state, tmp_path):
    dataset = opened(write(tmp_path, Made(state=state)))
    assert dataset.episode(1).proprio.shape == (3, state)
    cache = FrameCache.open(dataset)
    assert cache.proprio.shape == (15, state)
    assert FrameCache.open(dataset).sim_state.shape == (15, 0)


def test_tasks_are_looked_up_where_records_do_not_tell_them(tmp_path):
    write(tmp_path, Made())
    change(tmp_path / RECORDS, "tasks", lambda tasks: None)
    assert [r.task for r in opened(tmp_path).records] == ["push", "lift", "push"]
    (tmp_path / TASKS).unlink()
    assert [r.task for r in opened(tmp_path).records] == ["", "", ""]


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (["a", "b"], ("a", "b")),
        ({"motors": ["a", "b"]}, ("a", "b")),
        ({"a": 0, "b": 1}, ("a", "b")),
        (None, ("action_0", "action_1")),
        (["a", "a"], ("action_0", "action_1")),
        (["a"], ("action_0", "action_1")),
    ],
)
def test_names_come_in_many_forms(told, names, tmp_path):
    write(tmp_path, Made())
    change_info(tmp_path, "features/action/names", told)
    assert opened(tmp_path).spec.action_spec.names == names


def test_frames_get_the_size_of_the_view(tmp_path):
    write(tmp_path, Made())
    dataset = opened(tmp_path, View(height=16, width=16))
    assert dataset.episode(0).frames.shape == (5, 16, 16, 3)
    assert dataset.spec.width == 16
    assert dataset.cache_name == "frames-observation.images.top-16x16"
    own = opened(tmp_path)
    assert own.fingerprint() != dataset.fingerprint()
    FrameCache.open(dataset)
    FrameCache.open(own)
    names = {path.name for path in (tmp_path / ".cache").iterdir() if path.is_dir()}
    assert names == {dataset.cache_name, own.cache_name}


def test_a_smaller_frame_has_the_mean_of_what_it_covers():
    frame = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    means = frame.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(resized(frame, 3, 4) - means).max() <= 1  # rounded twice
    assert resized(frame, 12, 16).shape == (12, 16, 3)
    assert resized(frame, 6, 8) is frame


def test_a_stride_puts_actions_side_by_side(tmp_path):
    write(tmp_path, Made(lengths=(5, 3, 7)))
    all_steps, strided = opened(tmp_path), opened(tmp_path, View(stride=3))
    assert [record.length for record in strided.records] == [1, 1, 2]
    assert strided.spec.action_spec.block == 3
    before, after = all_steps.episode(2), strided.episode(2)
    assert np.array_equal(after.frames, before.frames[:6:3])
    assert np.array_equal(after.proprio, before.proprio[:6:3])
    assert np.array_equal(after.actions, before.actions[:6].reshape(2, 6))
    assert opened(tmp_path, View(stride=4)).indices == (0, 2)
    assert FrameCache.open(strided).actions.shape == (4, 6)
    with pytest.raises(DatasetError, match="no episode has the stride=8 .* has 7"):
        open_dataset(tmp_path, View(stride=8))


def test_relative_actions_keep_the_action_that_does_nothing(tmp_path):
    dataset = opened(write(tmp_path, Made()), View(absolute_actions=False))
    spec = dataset.spec.action_spec
    assert (spec.absolute, spec.offsets) == (False, (0.0, 0.0))
    change(tmp_path / DATA, "action", lambda rows: [[x / 9, 0.5] for x, _ in rows])
    within = opened(tmp_path)  # all in [-1, 1]: taken for relative, and left alone
    assert not within.spec.action_spec.absolute
    assert np.array_equal(within.episode(0).actions, within.numbers(0)[0])
    constant = opened(tmp_path, View(absolute_actions=True)).spec.action_spec
    assert (constant.scales[1], constant.offsets[1]) == (1.0, 0.5)


def test_the_fingerprint_is_of_the_content(tmp_path):
    first, second = (write(tmp_path / name, Made(codec="libx264")) for name in "ab")
    one = opened(first).fingerprint()
    assert opened(second).fingerprint() == one
    change_info(second, "features/observation.effort", {"dtype": "x", "shape": None})
    assert opened(second).fingerprint() == one
    (second / VIDEO).write_bytes((second / VIDEO).read_bytes() + b"\0")
    assert opened(second).fingerprint() != one


def test_timestamps_count_where_the_header_says_another_rate(tmp_path):
    write(tmp_path, Made(fps=15))
    change_info(tmp_path, "fps", 60)
    with pytest.warns(UserWarning, match="says 60 frames/s, timestamps say 15"):
        assert opened(tmp_path).spec.action_spec.rate_hz == 15


def test_a_video_may_have_more_frames_than_rows(tmp_path):
    write(tmp_path, Made(codec="libx264", lengths=(5, 3, 7)))
    before = opened(tmp_path).episode(1).frames
    change_rows(tmp_path / DATA, lambda table: table.slice(0, 13))
    change(tmp_path / RECORDS, "length", lambda lengths: [5, 3, 5])
    change(tmp_path / RECORDS, "dataset_to_index", lambda ends: [5, 8, 13])
    change_info(tmp_path, "total_frames", 13)
    with pytest.warns(
        UserWarning, match="1 episodes, the first is 2, have more frames"
    ):
        dataset = opened(tmp_path)
    assert len(dataset.episode(2)) == 5
    assert np.array_equal(dataset.episode(1).frames, before)


def test_our_own_datasets_open_through_the_same_door(folder, dataset):
    assert open_dataset(folder).fingerprint() == dataset.fingerprint()
    small = View(height=4, width=4)
    assert open_dataset(folder, small).spec == dataset.spec
    for view, message in (
        (View("left"), "camera must be observation.images.left"),
        (View(stride=9), "no episode has the stride=9 control steps .* has 8"),
        (View(absolute_actions=True), "absolute_actions must be false or null"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_dataset(folder, view)


def test_a_stride_of_our_own_puts_actions_side_by_side(folder, dataset):
    strided = open_dataset(folder, View(stride=5))
    lengths = [record.length for record in dataset.records]
    assert {*lengths} == {4, 5, 6, 7, 8}
    assert strided.indices == tuple(i for i in dataset.indices if lengths[i] >= 5)
    assert strided.spec.action_spec.block == 5
    assert strided.cache_name != dataset.cache_name
    assert strided.fingerprint() != dataset.fingerprint()
    pairs = open_dataset(folder, View(stride=2))
    whole, seen = dataset.episode(3), pairs.episode(3)  # of 7 control steps
    assert (len(whole), len(seen), pairs.record(3).length) == (7, 3, 3)
    for name in ("frames", "proprio", "sim_state"):
        assert np.array_equal(getattr(seen, name), getattr(whole, name)[0:6:2])
    assert np.array_equal(seen.actions[1], whole.actions[2:4].flatten())
    assert FrameCache.open(pairs).actions.shape[1] == 2 * whole.actions.shape[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, r"stride must be a whole number in \[1, 10000\], got 0"),
        ({"stride": 1.5}, "stride must be a whole number"),
        ({"height": 0}, r"height must be a whole number in \[1, "),
        ({"camera": 3}, "camera must be a text, or a list of such, got 3"),
        ({"camera": []}, r"camera must be a text, or a list of such, got \[\]"),
        ({"camera": ["a", 3]}, r"camera must be a text, or a list of such, got \['a'"),
        ({"camera": ["a", "a"]}, "camera must name each once"),
        ({"camera": ["a", "b"], "width": 3}, "width must be a multiple of the 2 cam"),
        ({"absolute_actions": "yes"}, "absolute_actions must be true, false or null"),
    ],
)
def test_a_view_that_cannot_be_is_refused(options, message):
    with pytest.raises(DatasetError, match=message):
        View(**options)
