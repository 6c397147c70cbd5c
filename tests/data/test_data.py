"""The data as tensors: the sample, splits, halves and batches."""

import gzip
import importlib.util
from pathlib import Path

import pytest
import torch

from halfgen_lib import data
from halfgen_lib.data import DataError, Images, download

SIDES = ("left", "right", "top", "bottom")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sample():
    return data.load("sample")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(n):
    """n images that carry their own number in every corner, all of class 0."""
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 28, 28)
    return Images(images.contiguous(), torch.zeros(n, dtype=torch.int64))


# --- halves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", SIDES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_join_undoes_halves(given, dtype):
    images = torch.randint(256, (5, 1, 28, 28), generator=generator()).to(dtype)
    left, right = data.halves(images, given)
    assert left.shape == right.shape == (5, 1, 28, 14)
    assert torch.equal(data.join(left, right, given), images)


@pytest.mark.parametrize(
    ("given", "known", "seam"),
    [
        ("left", (slice(None), slice(0, 14)), (slice(None), 13)),
        ("right", (slice(None), slice(14, 28)), (slice(None), 14)),
        ("top", (slice(0, 14), slice(None)), (13, slice(None))),
        ("bottom", (slice(14, 28), slice(None)), (14, slice(None))),
    ],
)
def test_canonical_pose(given, known, seam):
    image = torch.arange(784).reshape(1, 1, 28, 28)
    left, right = data.halves(image, given)
    assert set(left.flatten().tolist()) == set(image[0, 0][known].flatten().tolist())
    # The known half's last column is its edge towards the unknown half, not turned round.
    assert left[0, 0, :, -1].tolist() == image[0, 0][seam].tolist()
    step = abs(right[0, 0, 0, 0] - left[0, 0, 0, -1]).item()
    assert step == (1 if given in ("left", "right") else 28)


def test_halves_and_join_refuse_other_sizes_and_sides():
    image = torch.zeros(1, 1, 28, 28)
    with pytest.raises(ValueError, match=r"middle.*left, right, top, bottom"):
        data.halves(image, "middle")
    with pytest.raises(ValueError, match="28, 14"):
        data.halves(image[..., :14])
    with pytest.raises(ValueError, match="28, 28"):
        data.join(image, image)


# --- the sample and the splits ----------------------------------------------------------------


def test_sample_is_small_stratified_and_says_so(sample):
    assert sample.is_sample and sample.name == "sample"
    assert sample.train.labels.bincount().tolist() == [200] * 10
    assert sample.test.labels.bincount().tolist() == [100] * 10
    assert len(data.CLASS_NAMES) == 10
    assert sample.train.images.dtype == torch.uint8
    assert set(sample.sha256) == set(download.FASHION_MNIST)
    assert sum(p.stat().st_size for p in download.SAMPLE_FOLDER.iterdir()) < 1_500_000


def test_unknown_names_are_refused(sample):
    with pytest.raises(ValueError, match=r"'mnist'.*full, sample"):
        data.load("mnist")
    with pytest.raises(ValueError, match=r"'random'.*holdout, as_published"):
        data.split(sample, "random")


def positions(part, whole):
    """The places of part's images in whole (no two images are the same)."""
    place = {image.numpy().tobytes(): i for i, image in enumerate(whole.images)}
    return [place[image.numpy().tobytes()] for image in part.images]


def test_holdout_is_disjoint_stratified_and_seeded(sample):
    splits = data.split(sample)
    train, validation = (positions(p, sample.train) for p in (splits.train, splits.validation))
    assert sorted(train + validation) == list(range(2000))
    assert splits.validation.labels.bincount().tolist() == [33] * 10
    assert splits.train.labels.bincount().tolist() == [167] * 10
    assert splits.test is sample.test
    torch.manual_seed(1)  # the global state has no say
    again = data.split(sample)
    assert torch.equal(again.train.images, splits.train.images)
    other = data.split(sample, seed=1)
    assert not torch.equal(other.validation.images, splits.validation.images)


def test_as_published_validates_on_the_test_file(sample):
    splits = data.split(sample, "as_published")
    assert splits.validation is splits.test is sample.test
    assert torch.equal(splits.train.images, sample.train.images)


@pytest.mark.parametrize("protocol", ["holdout", "as_published"])
def test_subsets_are_nested_and_stratified(sample, protocol):
    validation = data.split(sample, protocol).validation
    smaller = set()
    for size in (10, 100, 1005, 0):
        splits = data.split(sample, protocol, train_size=size)
        counts = splits.train.labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= (size % 10 > 0)
        chosen = set(positions(splits.train, sample.train))
        assert len(chosen) == (size or len(splits.train))
        assert smaller <= chosen
        assert torch.equal(splits.validation.images, validation.images)
        smaller = chosen


@pytest.mark.parametrize("size", [-1, 9, 1671])
def test_impossible_subsets_are_refused(sample, size):
    with pytest.raises(ValueError, match=rf"train_size is {size}, allowed: 0 .* 10 to 1670"):
        data.split(sample, train_size=size)


def test_stratified_order_keeps_unequal_proportions():
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    order = data.stratified_order(labels, generator())
    assert order.sort().values.tolist() == list(range(100))
    for size in range(1, 101):
        counts = labels[order[:size]].bincount(minlength=3) / torch.tensor([0.7, 0.2, 0.1])
        share = torch.tensor([0.7, 0.2, 0.1])
        assert ((counts * share - size * share).abs() <= 1).all()


# --- batches ----------------------------------------------------------------------------------


def test_batches_cover_everything_once():
    images = numbered(23)
    seen = [left[:, 0, 0, 0] for left, _ in data.batches(images, 5, generator())]
    assert [len(s) for s in seen] == [5, 5, 5, 5, 3]
    order = (torch.cat(seen) * 255).round().int().tolist()
    assert sorted(order) == list(range(23)) and order != sorted(order)
    in_order = torch.cat([left[:, 0, 0, 0] for left, _ in data.batches(images, 5, None)])
    assert (in_order * 255).round().int().tolist() == list(range(23))


def test_same_seed_same_batches_and_a_new_order_each_epoch(sample):
    first, second = generator(3), generator(3)
    epochs = [list(data.batches(sample.test, 256, g)) for g in (first, second, first)]
    for (left, right), (left_again, right_again) in zip(epochs[0], epochs[1], strict=True):
        assert torch.equal(left, left_again) and torch.equal(right, right_again)
    assert not torch.equal(epochs[0][0][0], epochs[2][0][0])


@pytest.mark.parametrize("given", SIDES)
def test_batches_are_halves_in_unit_range(sample, given):
    left, right = next(data.batches(sample.test, 64, None, given=given))
    assert left.dtype == right.dtype == torch.float32
    assert left.min() >= 0 and 0.9 < left.max() <= 1
    joined = data.join(left, right, given)
    assert torch.equal(joined, data.to_unit(sample.test.images[:64]))


def test_flip_mirrors_about_half_of_the_images():
    ramp = torch.arange(28, dtype=torch.uint8).expand(400, 1, 28, 28).contiguous()
    images = Images(ramp, torch.zeros(400, dtype=torch.int64))
    joined = torch.cat(
        [data.join(*halves) for halves in data.batches(images, 64, generator(), flip=True)]
    )
    mirrored = joined[:, 0, 0, 0] > joined[:, 0, 0, -1]
    assert 150 < mirrored.sum() < 250
    unit = data.to_unit(ramp)
    assert torch.equal(joined[mirrored], unit[mirrored].flip(-1))
    assert torch.equal(joined[~mirrored], unit[~mirrored])


def test_shift_moves_by_all_steps_up_to_its_size_and_black_comes_in():
    spot = torch.full((400, 1, 28, 28), 5, dtype=torch.uint8)
    spot[:, :, 10, 20] = 255
    images = Images(spot, torch.zeros(400, dtype=torch.int64))
    pairs = data.batches(images, 64, generator(), shift=1)
    joined = torch.cat([data.join(*pair) for pair in pairs])[:, 0]
    found = joined.eq(1).nonzero()
    assert found[:, 0].tolist() == list(range(400))  # one spot each
    moved = found[:, 1:] - torch.tensor([10, 20])
    assert {tuple(step) for step in moved.tolist()} == {
        (y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)
    }
    black = 784 - (28 - moved.abs()).prod(1)
    assert torch.equal(joined.eq(0).sum((1, 2)), black)


def test_batches_refuse_nonsense():
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(data.batches(numbered(3), 0, None))
    with pytest.raises(ValueError, match="generator"):
        next(data.batches(numbered(3), 2, None, flip=True))
    with pytest.raises(ValueError, match="uint8"):
        data.to_unit(torch.zeros(1))
    with pytest.raises(ValueError, match="expected"):
        Images(torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


# --- with the real data, where they are -------------------------------------------------------


def test_draw_sample_reproduces_the_shipped_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "SOURCES", ())  # tests do not download
    try:
        place, _ = download.find("full")
    except DataError as error:
        pytest.skip(f"THE FULL DATA ARE NOT HERE, so the sample was not redrawn: {error}")
    spec = importlib.util.spec_from_file_location("draw_sample", ROOT / "scripts/draw_sample.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setenv("HALFGEN_DATA", str(place))
    script.main(tmp_path)
    for path in tmp_path.iterdir():
        shipped = (download.SAMPLE_FOLDER / path.name).read_bytes()
        if path.suffix == ".gz":  # zlibs differ in how they pack, not in what
            assert gzip.decompress(path.read_bytes()) == gzip.decompress(shipped)
        else:
            assert path.read_bytes() == shipped
    splits = data.split(data.load())
    assert splits.train.labels.bincount().tolist() == [5000] * 10
    assert splits.validation.labels.bincount().tolist() == [1000] * 10
