from worldmodel.commands.progress import bar, track


def test_nothing_is_shown_where_nobody_watches(capsys):
    assert list(track([1, 2], total=2, label="collect", unit="episode")) == [1, 2]
    with bar(total=10, label="train", unit="step", done=4) as progress:
        progress.update(3)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_a_terminal_sees_label_rate_and_unit(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with bar(total=10, label="train", unit="step", done=4) as progress:
        progress.update(6)
    shown = capsys.readouterr().err
    assert "train" in shown
    assert "10/10" in shown
    assert "step/s" in shown
