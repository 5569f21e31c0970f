import av
import numpy as np
import pytest
import torch
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from tests.evaluation.fakes import PointModel, picture
from worldmodel.evaluation.frame_bank import encode_bank, load_bank, save_bank
from worldmodel.evaluation.video import write_gif, write_mp4


@pytest.fixture
def frames() -> list[np.ndarray]:
    """A bright square that wanders over a dark ground."""
    pictures = []
    for step in range(6):
        image = np.full((40, 60, 3), 20, dtype=np.uint8)
        image[10:20, 5 * step : 5 * step + 10] = (250, 120, 30)
        pictures.append(image)
    return pictures


def test_an_mp4_decodes_to_the_frames(tmp_path, frames):
    write_mp4(frames, tmp_path / "film.mp4", fps=5)
    with av.open(str(tmp_path / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 5)
        decoded = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    assert len(decoded) == len(frames)
    error = np.abs(np.stack(decoded).astype(int) - np.stack(frames)).mean()
    assert error < 6


def test_a_gif_decodes_to_the_frames(tmp_path, frames):
    write_gif(frames, tmp_path / "film.gif", fps=5)
    with Image.open(tmp_path / "film.gif") as image:
        assert isinstance(image, GifImageFile)
        assert (image.n_frames, image.info["duration"]) == (6, 200)
        image.seek(4)
        decoded = np.asarray(image.convert("RGB"))
    assert np.abs(decoded.astype(int) - frames[4]).mean() < 6


def test_a_gif_gets_fewer_colours_until_it_fits_and_else_is_an_error(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(4)]
    write_gif(noise, tmp_path / "large.gif")
    large = (tmp_path / "large.gif").stat().st_size
    write_gif(noise, tmp_path / "small.gif", max_bytes=large - 1)
    assert (tmp_path / "small.gif").stat().st_size < large
    with pytest.raises(ValueError, match="max_bytes is 100; use fewer or smaller"):
        write_gif(noise, tmp_path / "none.gif", max_bytes=100)
    assert not (tmp_path / "none.gif").exists()


def test_a_small_thing_keeps_its_colour_in_a_gif(tmp_path):
    shades = np.linspace(0, 255, 300 * 300, dtype=np.uint8).reshape(300, 300, 1)
    frame = np.repeat(shades, 3, axis=2)
    frame[:15, :15] = (0, 216, 230)
    write_gif([frame], tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as image:
        shown = np.asarray(image.convert("RGB"))[2, 2].astype(int)
    assert np.abs(shown - (0, 216, 230)).max() < 12


def test_frames_of_different_sizes_are_refused(tmp_path, frames):
    with pytest.raises(ValueError, match=r"uint8 \(40, 60, 3\), got .* at 6"):
        write_mp4([*frames, frames[0][:20]], tmp_path / "film.mp4")
    with pytest.raises(ValueError, match="even sides, got height 40 and width 59"):
        write_mp4([frame[:, :59] for frame in frames], tmp_path / "film.mp4")
    with pytest.raises(ValueError, match="at least 1 frame"):
        write_gif([], tmp_path / "film.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_bank_gives_the_real_frame_that_is_nearest_in_latent_space(tmp_path):
    positions = np.array([[-0.5, 0.0], [0.0, 0.5], [0.5, 0.0]])
    save_bank(np.stack([picture(p) for p in positions]), tmp_path / "bank.npz")
    bank = encode_bank(load_bank(tmp_path / "bank.npz"), PointModel().encode, chunk=2)
    found = bank.nearest(torch.tensor([[[0.4, 0.1]], [[-0.9, -0.2]]]))
    np.testing.assert_array_equal(found, bank.frames[[2, 0]])
    with pytest.raises(ValueError, match=r"latents must be \(K, 1, 2\) like the bank"):
        bank.nearest(torch.zeros(2, 3))


def test_a_file_that_is_no_bank_is_refused(tmp_path):
    (tmp_path / "bank.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no frame bank"):
        load_bank(tmp_path / "bank.npz")
