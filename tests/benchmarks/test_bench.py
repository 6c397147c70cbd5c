"""The bench: contenders that compute the same, floors that follow from shapes, values that fit."""

import os
import subprocess
import sys
from functools import partial
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from benchmarks import bench as run
from benchmarks import machine, measures, plain_loop, scaling, speedrun
from benchmarks.muon import Muon
from benchmarks.plan import QUICK, plan_for
from benchmarks.tables import told
from benchmarks.work import Work, count_launches, count_work
from halfgen_lib.analysis import published as analyses
from halfgen_lib.config import RunConfig
from halfgen_lib.data import batches, load, split
from halfgen_lib.files import project_root, read_json, write_json
from halfgen_lib.models import build_model
from halfgen_lib.models.padding import conv_output_size, same_padding
from halfgen_lib.training import LOSSES, Trainer, build_optimizer, train_epoch

CPU = torch.device("cpu")
ROOT = project_root()
VARIANT_OF = {"default": "default", "published": "as_published"}


def copy_weights(source, target):
    """By their order: the names differ."""
    values = source.state_dict().values()
    target.load_state_dict(dict(zip(target.state_dict(), values, strict=True)))


@pytest.mark.parametrize("recipe", VARIANT_OF)
def test_the_plain_network_is_ours_under_other_names(recipe, generator):
    settings = RunConfig.of_variant(VARIANT_OF[recipe]).model_settings
    mine = build_model("cae", settings).eval()
    plain = plain_loop.build_network(plain_loop.RECIPES[recipe]).eval()
    shapes = [[v.shape for v in net.state_dict().values()] for net in (mine, plain)]
    assert shapes[0] == shapes[1]
    copy_weights(mine, plain)
    left = torch.rand(5, 1, 28, 14, generator=generator)
    with torch.no_grad():
        assert torch.allclose(plain(left), mine(left), atol=1e-5)


@pytest.mark.parametrize("recipe", VARIANT_OF)
def test_the_plain_recipe_is_that_of_our_variant(recipe):
    config = RunConfig.of_variant(VARIANT_OF[recipe])
    plain = plain_loop.RECIPES[recipe]
    ours = build_model("cae", config.model_settings).config
    assert plain.slope == ours.negative_slope and plain.weight_decay == config.weight_decay
    assert plain.batch_size == config.batch_size and plain.learning_rate == config.learning_rate
    assert plain.patience == config.plateau_epochs - 1
    assert plain.holdout == (config.split == "holdout")


def plain_adam(network):
    return torch.optim.Adam(network.parameters(), lr=RunConfig().learning_rate)


def recording(function, into):
    """The same function, whose losses are kept."""

    def recorded(left, right):
        into.append(function(left, right))
        return into[-1]

    return recorded


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_fast_path_and_the_plain_one_have_the_same_losses(device):
    """Same weights, same order of the images, float32, data path included: twenty steps.

    After a few steps rounding tells the two apart: that of batch normalisation is larger in
    channels-last maps, and Adam, which divides by the size of the gradient, enlarges it. In float64
    (below) they are the same to ten digits.
    """
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    splits = split(load("sample"))
    config = RunConfig(data="sample", batch_size=32, device=device)
    trainer = Trainer(config, splits, torch.device(device))
    module = plain_loop
    network = module.build_network(module.RECIPES["default"]).to(device)
    copy_weights(trainer.model, network)

    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
    shuffled = Subset(module.LeftRight(splits.train.images[:, 0].numpy()), order.tolist())
    loader = islice(DataLoader(shuffled, config.batch_size), 20)
    plain = module.train_epoch(network, loader, plain_adam(network), torch.device(device))

    fast = []
    trainer.loss_function = recording(trainer.loss_function, fast)
    trainer.run_epoch()
    fast = [loss.item() for loss in fast[:20]]
    assert len(plain) == 20 and plain[-1] < 0.8 * plain[0]
    start = 1e-4 if device == "cpu" else 1e-3  # cuDNN's convolutions round to TF32
    assert fast[:5] == pytest.approx(plain[:5], rel=start)
    assert fast == pytest.approx(plain, rel=1e-2)


def test_in_float64_fast_and_plain_steps_are_the_same():
    images = split(load("sample")).train
    shuffled = batches(images, 32, torch.Generator().manual_seed(0))
    pairs = [(left.double(), right.double()) for left, right in islice(shuffled, 20)]
    module, model, fast = plain_loop, build_model("cae", {}).double(), []
    network = module.build_network(module.RECIPES["default"]).double()
    copy_weights(model, network)
    plain = module.train_epoch(network, pairs, plain_adam(network), CPU)
    loss = recording(partial(model.loss, criterion=LOSSES["mse"]), fast)
    train_epoch(model, pairs, loss, build_optimizer(RunConfig(), model.parameters()))
    assert [loss.item() for loss in fast] == pytest.approx(plain, rel=1e-10)


def test_the_plain_loop_learns(sample):
    images = sample.train.images[:, 0].numpy()
    module = plain_loop
    training = module.PlainTraining(module.RECIPES["published"], images, images, CPU)
    rows = list(islice(training.epochs(), 3))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[2]["train_loss"] < rows[0]["train_loss"]
    assert rows[2]["val_loss"] == module.validate(training.network, training.val_loader, CPU)


def test_the_work_of_layers_follows_from_their_shapes():
    model = nn.Sequential(
        nn.Conv2d(1, 3, (4, 2), stride=2),  # 8x6 -> 3x3
        nn.ReLU(),
        nn.ConvTranspose2d(3, 2, (4, 2), stride=2),  # 3x3 -> 8x6
        nn.Flatten(),
        nn.Linear(96, 5),
    )
    work = count_work(model, torch.zeros(1, 1, 8, 6))
    assert work.inputs == (48, 27, 96) and work.outputs == (27, 96, 5)
    assert work.weights == (3 * 8 + 3) + (3 * 2 * 8 + 2) + (96 * 5 + 5)
    macs = 27 * 8, 9 * 3 * 2 * 8, 96 * 5
    assert work.forward_flops == 2 * sum(macs)
    assert work.training_flops == 6 * sum(macs) - 2 * macs[0]
    assert all(p.grad is None for p in model.parameters())


def test_the_bytes_of_a_step_are_maps_and_weights():
    work = Work(0, 0, inputs=(10, 20), outputs=(20, 5), weights=10)
    assert work.forward_bytes == 4 * (10 + 20 + 20 + 5)
    per_image = 2 * 10 + 2 * 20 + 3 * 20 + 2 * 5  # no gradient of the network's input
    assert work.training_bytes(4) == 4 * (per_image + 10 * 10 / 4)


def test_the_network_multiplies_as_often_as_its_shapes_say():
    work = count_work(build_model("cae", {}), torch.zeros(1, 1, 28, 14))
    sizes, channels, macs = (28, 14), (1, 32, 64, 128), 0
    for before, after in pairwise(channels):
        sizes = [
            conv_output_size(n, k, 2, sum(same_padding(n, k, 2)))
            for n, k in zip(sizes, (4, 2), strict=True)
        ]
        macs += 2 * sizes[0] * sizes[1] * before * after * 4 * 2  # and its mirror image
    flat = 128 * sizes[0] * sizes[1]
    assert work.forward_flops == 2 * (macs + 2 * flat * 256 + 2 * 256 * 64)


def test_calls_are_counted():
    number, other = torch.ones(3), torch.ones(3)

    def step():
        for _ in range(4):
            number.mul_(other)

    assert count_launches(step, CPU) == 4


def test_the_floor_is_the_slowest_of_its_parts():
    splits = split(load("sample"))
    work = count_work(build_model("cae", {}), torch.zeros(1, 1, 28, 14))
    flops = {"float32": 1e9, "bfloat16": 4e9}
    peaks = {"matmul_flops": flops, "bandwidth": 1e15, "launch_seconds": 1e-12}
    floor = measures.epoch_floor(work, QUICK, splits, peaks)
    images = len(splits.train), len(splits.validation)
    assert floor["flops"] == images[0] * work.training_flops + images[1] * work.forward_flops
    assert floor["seconds"] == floor["arithmetic_seconds"]
    assert floor["seconds"] == {"float32": floor["flops"] / 1e9, "bfloat16": floor["flops"] / 4e9}
    assert floor["steps"] == int(np.ceil(images[0] / QUICK.batch_size))


def test_a_measured_epoch_has_the_same_share_of_both_parts():
    splits = split(load("sample"))
    few = measures.cut(splits, QUICK)
    assert len(few.train) == QUICK.steps * QUICK.batch_size
    share = len(few.train) / len(splits.train)
    assert len(few.validation) == round(share * len(splits.validation))
    assert plan_for(torch.device("cuda")).steps == 0 < plan_for(CPU).steps


def test_slopes_are_exponents():
    x = np.array([1.0, 10, 100])
    assert scaling.slope(x, 3 * x**1.5) == pytest.approx(1.5)


def test_larger_images_go_through_the_same_layers(sample):
    cost = scaling.cost_of_pixels((1, 2), 2, sample.train, CPU)
    small, large = cost["points"]
    assert (small["side"], large["side"]) == (28, 56)
    assert small["parameters"] == build_model("cae", {}).parameter_count() < large["parameters"]
    ratio = large["flops_per_image"] / small["flops_per_image"]
    assert 3.2 < ratio < 4  # four times the pixels; the innermost layers stay
    assert build_model("cae", {}).predict(torch.zeros(1, 1, 28, 14)).shape == (1, 1, 28, 14)


def test_a_speedrun_is_given_up_that_does_not_reach_the_error():
    errors = iter([0.5, 0.02736, 0.02734, 0.01])
    contender = speedrun.Contender(lambda: {"val_loss": next(errors)}, nn.Identity())
    run = speedrun.run_to_target(contender, 0.0273, 2, CPU)
    assert (run["epochs"], run["val_mse"], run["reached"]) == (2, 0.02736, False)
    run = speedrun.run_to_target(contender, 0.0273, 9, CPU)
    assert (run["epochs"], run["reached"]) == (1, True) and next(errors) == 0.01


def muon(network):
    return Muon(network, 1e-3, (0.8, 0.97), kernel_rate=0.5, momentum=0.9)


def test_muon_moves_a_kernel_in_all_directions_alike(generator):
    """Whatever the singular values of its gradient, those of the step are near one."""
    network = nn.Sequential(nn.Conv2d(8, 16, (4, 2)), nn.BatchNorm2d(16), nn.Linear(16, 2))
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    left, right = (
        torch.linalg.qr(torch.randn(rows, 16, generator=generator))[0] for rows in (16, 64)
    )
    network[0].weight.grad = (left * torch.linspace(1, 10, 16) @ right.mT).view(16, 8, 4, 2)
    muon(network).step()
    moved = {name: before[name] - weight.detach() for name, weight in network.named_parameters()}
    lengths = torch.linalg.svdvals(moved.pop("0.weight").flatten(1)) / 0.5
    assert lengths.min() > 0.6 and lengths.max() < 1.3
    for name, step in moved.items():  # the first step of Adam
        assert torch.allclose(step, torch.tensor(1e-3), rtol=1e-2), name


def test_muon_takes_each_gradient_once():
    network = nn.Conv2d(2, 4, 2)
    optimizer = muon(network)
    for _ in range(2):
        optimizer.zero_grad()
        network(torch.ones(1, 2, 2, 2)).sum().backward()
        assert (network.weight.grad == 1).all()  # not added to the former one
        optimizer.step()


def test_a_schedule_moves_both_rates_of_muon():
    network, rates = nn.Conv2d(2, 4, 2), []
    optimizer = muon(network)
    schedule = optimizer.one_cycle(10)
    for _ in range(9):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.zero_grad()
        network(torch.ones(1, 2, 2, 2)).sum().backward()
        optimizer.step()
        schedule.step()
    assert max(rates) == [1e-3, 0.5] and rates[0] == [4e-5, 0.02]
    assert all(kernel == pytest.approx(500 * other) for other, kernel in rates)
    assert optimizer.param_groups[1]["lr"] < 1e-4


def test_a_child_does_not_count_its_parents_memory(sample):
    held = torch.ones(200_000_000 // 4)
    here = machine.peak_memory()
    there = measures.measure_memory("ours", QUICK, CPU)
    assert there["device"] is None and held.numel() and 5e7 < there["main"] < here


def test_importing_the_library_costs_little_more_than_torch():
    """By the processor's clock, which another program does not move."""
    seconds = {
        name: min(measures.import_seconds(name, "process_time") for _ in range(2))
        for name in ("torch", "halfgen_lib", "halfgen_lib.training")
    }
    assert seconds["halfgen_lib"] < seconds["torch"]
    assert seconds["halfgen_lib.training"] < 2 * seconds["torch"]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The values of a quick bench, made by the command line."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    command = ["bench", "--quick", "--device", "cpu", "--json", str(path)]
    code = f"import sys; from halfgen_lib.cli import main; sys.exit(main({command}))"
    start = os.times()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    end = os.times()
    assert ended.returncode == 0, ended.stderr
    seconds = end.children_user + end.children_system - start.children_user - start.children_system
    return read_json(path), seconds, ended


def test_a_quick_bench_takes_seconds_and_says_where_it_stands(quick):
    """By the processor's clock, its children's included: another program does not move it.

    Most of it are imports, which a slow machine takes longer for.
    """
    _, seconds, ended = quick
    assert seconds < max(30, 25 * measures.import_seconds("torch", "process_time"))
    assert "profiler" not in ended.stderr and "Profiler" not in ended.stderr
    lines = ended.stdout.splitlines()
    for number in range(1, 9):
        assert any(line.startswith(f"{number}/8 done, {8 - number} left") for line in lines), number


def test_a_bench_says_where_and_how_it_was_made(quick):
    values, *_ = quick
    assert values["data"] == "sample" and values["plan"]["steps"] == QUICK.steps
    assert values["machine"]["threads"] == 1 and values["machine"]["cpu"]
    assert values["origin"]["data_sha256"] and values["origin"]["git_commit"]


def test_a_bench_measures_every_contender(quick):
    values, *_ = quick
    assert list(values["speed"]) == ["plain", "ours", "ours, bfloat16"]
    for speed in values["speed"].values():
        epoch = speed["epoch_seconds"]
        assert 0 < epoch["low"] <= epoch["median"] <= epoch["high"]
        assert len(epoch["values"]) == QUICK.rounds and speed["over_floor"] > 1
        assert speed["matmul_share"] < 1 and speed["peak_memory"]["main"] > 5e7
    assert set(values["inference"]) == {str(size) for size in QUICK.inference}
    assert list(values["races"]) == list(speedrun.RACES) == ["seed", "text"]
    for race in values["races"].values():
        assert race["speedrun"]["runs"] == race["rival"]["epochs"] == 1
        assert race["times_faster"] is None  # the sample is too small
        assert list(race["ablation"]) == list(speedrun.ABLATION)


def test_a_bench_becomes_tables(quick):
    tables = quick[0]["tables"]
    assert [row[""] for row in tables["speed"]] == ["plain", "ours", "ours, bfloat16"]
    assert tables["speed"][0]["speed-up"] == "1.00"
    assert len(tables["inference"]) == len(QUICK.inference)
    assert all("(missed)" in row["validation MSE"] for row in tables["races"])
    assert [row["to"] for row in tables["races"]] == 2 * ["0.0273"] + 2 * ["0.0213"]
    assert len(tables["parts"]) == 2 * len(speedrun.ABLATION)


def test_a_finding_tells_what_was_measured(quick):
    values, *_ = quick
    assert "a recipe missed its error, so no ratio is given" in values["finding"]
    races = {name: race | {"times_faster": 41.6} for name, race in values["races"].items()}
    values = {**values, "races": races}
    speed = {name: row["epoch_seconds"]["median"] for name, row in values["speed"].items()}
    text = told(values, "bench-cpu")["finding"]
    assert f"{speed['plain'] / speed['ours']:.2f} times as fast as in the plain loop, with" in text
    assert text.count("42 times sooner") == 2 and "@tbl-bench-cpu-races" in text


def test_what_is_told_is_of_the_published_values():
    """`benchmarks.tables.told` writes it anew."""
    for name, values in analyses.published_benches().items():
        assert {key: values[key] for key in ("tables", "finding")} == told(values, name)


def test_benches_of_the_full_data_are_published(quick, results_dir):
    values, *_ = quick
    results_dir.mkdir()
    write_json(results_dir / "bench-cpu-sample.json", values)
    write_json(results_dir / "bench-cpu.json", values | {"data": "full"})
    assert analyses.published_benches() == {"bench-cpu": values | {"data": "full"}}


def test_a_bench_is_published_under_its_devices_name(monkeypatch, tmp_path):
    monkeypatch.setenv("HALFGEN_RESULTS", str(tmp_path))
    assert run.bench_path(CPU) == tmp_path / "bench-cpu.json"
    assert run.bench_path(CPU, "sample") == tmp_path / "bench-cpu-sample.json"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200 (a)")
    assert run.bench_path(torch.device("cuda")).stem == "bench-nvidia-h200-a"
