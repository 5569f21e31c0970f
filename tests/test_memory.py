"""Memory that is not there is said before anything begins, in one line."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.commands.posed_env import SIDE
from tests.commands.test_train_ac import ENV, data, encoder, train, trained
from tests.encoders.published.layouts import write_folder, write_pt
from worldmodel import memory
from worldmodel.checkpoints.vjepa2_ac import from_published, published
from worldmodel.commands import doctor
from worldmodel.commands.main import main
from worldmodel.encoders import Reading, load_encoder
from worldmodel.memory import NotEnoughMemoryError, free_memory, require_memory
from worldmodel.predictors import PatchPredictor, PatchPredictorSpec
from worldmodel.vjepa2_ac import VJEPA2AC
from worldmodel.vjepa2_ac.world_model import PatchWorldModel

_ = (data, encoder, trained)  # fixtures
MUCH = 2**40
READ = Reading(crop=32, heads=2)


@pytest.fixture
def little(monkeypatch):
    """Pretends that so many bytes are free, each time that is asked; the last stay."""

    def pretend(*counts):
        left = list(counts)

        def free(device):
            return left.pop(0) if len(left) > 1 else left[0]

        monkeypatch.setattr(memory, "free_memory", free)

    return pretend


class Peak(TorchDispatchMode):
    """The most bytes that tensors made here held at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {
            tensor.untyped_storage().data_ptr()
            for tensor in tree_leaves((args, kwargs or {}))
            if isinstance(tensor, torch.Tensor)
        }
        for tensor in tree_leaves(out):
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage in self.known or storage.data_ptr() in given:
                continue
            self.known.add(storage)
            self.now += storage.nbytes()
            weakref.finalize(storage, self.freed, storage.nbytes())
        self.most = max(self.most, self.now)
        return out

    def freed(self, count):
        self.now -= count


def test_what_is_free_is_what_the_system_and_a_container_allow(tmp_path, monkeypatch):
    machine = tmp_path / "meminfo"
    machine.write_text("MemTotal: 90 kB\nMemAvailable: 50 kB\n")
    monkeypatch.setattr(memory, "_MACHINE", machine)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert free_memory("cpu") == 50 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("30000\n")
    (tmp_path / "memory.stat").write_text("anon 20000\ninactive_file 8000\n")
    assert free_memory("cpu") == 50 * 1024
    (tmp_path / "memory.max").write_text("40000\n")
    assert free_memory("cpu") == 18000
    (tmp_path / "memory.max").unlink()
    machine.unlink()
    assert free_memory("cpu") is None
    require_memory("a plan", 2**60, "cpu", "take less")  # nothing tells


def test_an_encoder_that_does_not_fit_is_refused(little, tmp_path):
    pt, folder = write_pt(tmp_path / "vit.pt"), write_folder(tmp_path / "vjepa2")
    count = sum(p.numel() for p in load_encoder(pt, READ).parameters())
    little(4 * count)
    load_encoder(pt, READ)
    little(4 * count - 1)
    for place in (pt, folder):
        message = r"in float32 needs 0.00 GiB of memory on cpu, .*=bfloat16 takes half"
        with pytest.raises(NotEnoughMemoryError, match=message):
            load_encoder(place, READ if place == pt else None)
    half = Reading(crop=32, heads=2, precision="bfloat16")
    load_encoder(pt, half)
    little(2 * count - 1)
    with pytest.raises(NotEnoughMemoryError, match="bfloat16 .*: take a smaller enc"):
        load_encoder(pt, half)


def test_a_predictor_that_does_not_fit_is_refused(little):
    spec = PatchPredictorSpec(2, 2, 24, width=32, depth=1, heads=2, hidden=32)
    tensors = published(PatchPredictor(spec))
    little(1000)
    with pytest.raises(NotEnoughMemoryError, match="the predictor in float32 needs"):
        from_published(tensors, spec)


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_what_plans_take_is_what_is_said(horizon):
    spec = PatchPredictorSpec(8, 8, 96, width=64, depth=6, heads=4, hidden=256)
    model = VJEPA2AC(lambda clips: clips, PatchPredictor(spec).eval(), chunk=16)
    tokens, goal = torch.randn(2, 1, 64, 96), torch.randn(2, 64, 96)
    cost = model.goal_cost(tokens, torch.rand(2, 1, 7), goal)
    with torch.no_grad(), Peak() as peak:
        cost(torch.rand(2, 32, horizon, 4))
    said = model.planning_bytes(32, horizon, 2)
    assert peak.most <= said <= 1.5 * peak.most


@pytest.mark.parametrize(
    ("free", "message"),
    [
        ([10_000], "the encoder of "),
        ([MUCH, 6 * 8 * SIDE * SIDE * 3 - 1], "encoding an episode of 8 frames of 32"),
        ([MUCH, MUCH, 100_000], "training needs"),
        ([MUCH, MUCH, MUCH, 150_000], "training needs"),
    ],
)
def test_training_begins_only_where_it_fits(
    free, message, little, data, encoder, tmp_path, capsys
):
    little(*free)
    assert train(data, encoder, tmp_path / "out") == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert message in line
    assert "GiB are free: " in line
    assert ("a step of 2 windows keeps" in shown.out) == (len(free) == 4)


def test_plans_begin_only_where_they_fit(trained, little, tmp_path, capsys):
    words = [f"model={trained / 'model'}", *ENV, "split=validation", "n=1", "timing=0"]
    words += ["planner.samples=64"]
    model = PatchWorldModel.from_pretrained(trained / "model")
    needed = model.planning_bytes(64, 2, 1)
    little(MUCH, needed - 1)
    assert main(["evaluate", *words, f"out={tmp_path / 'run'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "imagining candidates needs" in line
    assert "take a smaller chunk=" in line
    little(MUCH, needed - 1)
    assert main(["evaluate", *words, f"out={tmp_path / 'run'}", "chunk=2"]) == 0
    assert main(["evaluate", *words, f"out={tmp_path / 'run'}", "chunk=0"]) == 2
    assert "chunk must be a whole number in [1, " in capsys.readouterr().err


def test_chunk_is_for_models_of_patches(capsys):
    assert main(["evaluate", "task=reach", "chunk=3"]) == 2
    assert "chunk is for models of patch tokens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
                "capacity of 8 GiB.\nOf the allocated memory 5 GiB is by PyTorch"
            ),
            "out of memory (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has "
            "a total capacity of 8 GiB.): compute less at once",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "out of memory (DefaultCPUAllocator: can't allocate memory: you tried): ",
        ),
        (MemoryError(), "out of memory (MemoryError): "),
    ],
)
def test_memory_that_runs_out_is_one_line(error, said, monkeypatch, capsys):
    def run(config):
        raise error

    monkeypatch.setattr(doctor, "run", run)
    assert main(["doctor"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {said}")
    with pytest.raises(type(error)):
        main(["doctor", "--traceback"])


def test_another_error_keeps_its_traceback(monkeypatch):
    def run(config):
        raise RuntimeError("something else")

    monkeypatch.setattr(doctor, "run", run)
    with pytest.raises(RuntimeError, match="something else"):
        main(["doctor"])
