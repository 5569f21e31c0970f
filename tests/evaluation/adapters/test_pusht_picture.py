import numpy as np
import pytest
from PIL import Image, ImageDraw

from worldmodel.evaluation.adapters.pusht import turn_deg
from worldmodel.evaluation.adapters.pusht_picture import read_block, read_pointer

# The T of PushT, corner by corner, in its own coordinates [px].
CORNERS = [(-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120)]
CORNERS += [(-15, 30), (-60, 30)]
SLATE, ROYAL, LIGHT = (119, 136, 153), (65, 105, 225), (144, 238, 144)
LARGE = 512


def corners(pose):
    x, y, angle = pose
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return [tuple(corner) for corner in np.array(CORNERS, float) @ turn + (x, y)]


def drawn(pose, pointer, side):
    canvas = Image.new("RGB", (LARGE, LARGE), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((4, 4, 507, 507), outline=(211, 211, 211), width=4)
    draw.polygon(corners((256, 256, np.pi / 4)), LIGHT)
    draw.polygon(corners(pose), SLATE)
    x, y = pointer
    draw.ellipse((x - 15, y - 15, x + 15, y + 15), ROYAL)
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX))


@pytest.mark.parametrize("side", [64, 96])
@pytest.mark.parametrize(
    "pose", [(150, 200, 0.3), (330, 180, 2.9), (256, 250, -1.4), (120, 380, 4.4)]
)
def test_where_the_t_lies_is_read_to_a_few_pixels_and_degrees(pose, side):
    picture = drawn(pose, (430.0, 430.0), side)
    found = read_block(picture)
    assert np.linalg.norm(found[:2] - pose[:2]) < 5
    assert turn_deg(found[2], pose[2]) < 4
    np.testing.assert_allclose(read_pointer(picture), (430, 430), atol=5)


def test_a_picture_without_them_says_so():
    empty = np.full((64, 64, 3), 255, np.uint8)
    with pytest.raises(ValueError, match="no T is to be seen"):
        read_block(empty)
    with pytest.raises(ValueError, match="no pointer is to be seen"):
        read_pointer(empty)
    square = empty.copy()
    square[20:24, 20:24] = SLATE
    with pytest.raises(ValueError, match="no whole T"):
        read_block(square)


def test_angles_differ_by_the_shorter_way_round():
    assert turn_deg(0.1, 2 * np.pi - 0.1) == pytest.approx(np.degrees(0.2))
    assert turn_deg(np.pi, 0) == pytest.approx(180)
