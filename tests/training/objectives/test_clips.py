import torch

from worldmodel.training.objectives.clips import single_clips, stand_still


def test_single_clips_end_at_their_frame_and_some_stand_still():
    frames = torch.arange(2 * 60).view(2, 60, 1, 1, 1).expand(-1, -1, 2, 2, 3)
    stands = stand_still(120, 0.3, torch.Generator().manual_seed(0))
    clips = single_clips(frames, stands)
    assert clips.shape == (120, 2, 2, 2, 3)
    before, now = clips[:, 0, 0, 0, 0], clips[:, 1, 0, 0, 0]
    assert torch.equal(now, torch.arange(120))
    still = before == now
    assert torch.equal(before[~still], now[~still] - 1)
    assert still[[0, 60]].all()  # nothing stands before the first frame of a window
    assert 0.2 < still.float().mean() < 0.42
