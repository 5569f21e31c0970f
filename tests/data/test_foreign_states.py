import numpy as np
import pyarrow as pa
import pytest

from tests.data.lerobot_like import DATA, INFO, Made, change_info, change_rows, write
from worldmodel.data import DatasetError, FrameCache, View
from worldmodel.data.foreign import ForeignDataset
from worldmodel.data.foreign_states import read_vectors

STATE, MASS = "env.state", "env.mass"


@pytest.fixture
def folder(tmp_path):
    """Three episodes with two more columns, which tell the row."""
    root = write(tmp_path, Made(lengths=(5, 3, 7)))
    rows = np.arange(15.0)
    vectors = [[row, -row] for row in rows]

    def more(table):
        return table.append_column(STATE, pa.array(vectors)).append_column(
            MASS, pa.array(rows + 0.5)
        )

    change_rows(root / DATA, more)
    for key, size in ((STATE, 2), (MASS, 1)):
        kind = {"dtype": "float32", "shape": [size], "names": None}
        change_info(root, f"features/{key.replace('/', '_')}", kind)
    assert (root / INFO).is_file()
    return root


def test_columns_stand_side_by_side_for_each_frame(folder):
    found = read_vectors(ForeignDataset.open(folder), [STATE, MASS])
    rows = np.arange(15.0)
    np.testing.assert_array_equal(found, np.stack([rows, -rows, rows + 0.5], axis=1))


def test_with_a_stride_they_are_those_of_the_frames_that_are_used(folder):
    dataset = ForeignDataset.open(folder, View(stride=2))
    found = read_vectors(dataset, [MASS])[:, 0] - 0.5
    np.testing.assert_array_equal(found, [0, 2, 5, 8, 10, 12])
    assert len(FrameCache.open(dataset).frames) == len(found)


def test_a_column_that_is_not_there_or_holds_no_numbers_is_named(folder):
    dataset = ForeignDataset.open(folder)
    with pytest.raises(DatasetError, match=f"has no column speed; it has: .*{STATE}"):
        read_vectors(dataset, ["speed"])

    def words(table):
        place = table.column_names.index(MASS)
        return table.set_column(place, MASS, pa.array(["heavy"] * 15))

    change_rows(folder / DATA, words)
    with pytest.raises(DatasetError, match=f"column {MASS} must hold vectors"):
        read_vectors(dataset, [MASS])
