"""The data: reader, search, download (with fake sources), splits, halves and batches; offline."""

import gzip
import importlib.util
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from halfgen_lib import data
from halfgen_lib.data import DataError, Images, download, fetch, idx

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
    assert set(sample.sha256) == set(fetch.SHA256)
    assert sum(p.stat().st_size for p in data.SAMPLE_FOLDER.iterdir()) < 1_500_000


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


def test_batches_refuse_nonsense():
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(data.batches(numbered(3), 0, None))
    with pytest.raises(ValueError, match="generator"):
        next(data.batches(numbered(3), 2, None, flip=True))
    with pytest.raises(ValueError, match="uint8"):
        data.to_unit(torch.zeros(1))
    with pytest.raises(ValueError, match="expected"):
        Images(torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


# --- the reader -------------------------------------------------------------------------------

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
IMAGES = idx.header(PIXELS) + PIXELS.tobytes()
LABELS = idx.header(PIXELS[:, 0, 0]) + PIXELS[:, 0, 0].tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reader_returns_what_the_writer_wrote(tmp_path, suffix):
    for number, array in enumerate((PIXELS, PIXELS[:, 0, 0], PIXELS[:0])):
        path = tmp_path / f"{number}{suffix}"
        idx.write_idx(path, array)
        content = path.read_bytes()
        assert np.array_equal(idx.read_idx(path), array)
        assert idx.read_idx(str(path)).shape == array.shape
        idx.write_idx(path, array)
        assert path.read_bytes() == content


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        idx.read_idx(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("whole", [IMAGES, LABELS], ids=["images", "labels"])
def test_reader_refuses_a_file_cut_anywhere(tmp_path, whole):
    for length in [*range(20), len(whole) - 1]:
        if length < len(whole):
            refused(tmp_path / "cut", whole[:length])
            refused(tmp_path / "cut.gz", gzip.compress(whole[:length]))
    packed = gzip.compress(whole)
    for length in [*range(0, 30), len(packed) // 2, *range(len(packed) - 9, len(packed))]:
        refused(tmp_path / "cut.gz", packed[:length])


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\0\0\x08\x02" + IMAGES[4:], "magic"),
        (b"\0\0\x0d\x03" + IMAGES[4:], "magic"),
        (b"\x89PNG\r\n\x1a\n" + bytes(900), "magic"),
        (b"<!DOCTYPE html><p>404", "magic"),
        (IMAGES + b"\0", "more values"),
        (IMAGES[:4] + struct.pack(">I", 4) + IMAGES[8:], "fewer values"),
        (IMAGES[:4] + struct.pack(">I", 2) + IMAGES[8:], "more values"),
        (IMAGES[:4] + b"\xff" * 4 + IMAGES[8:], "declares shape"),
        (IMAGES[:8] + struct.pack(">II", 784, 1) + IMAGES[16:], "declares shape"),
        (LABELS[:4] + struct.pack(">I", 60_001) + bytes(60_001), "declares shape"),
    ],
)
def test_reader_refuses_foreign_and_lying_files(tmp_path, content, says, suffix):
    content = gzip.compress(content) if suffix else content
    assert says in refused(tmp_path / f"bad{suffix}", content)


def test_reader_refuses_damaged_gzip(tmp_path):
    packed = bytearray(gzip.compress(IMAGES, mtime=0))
    assert "after the gzip data" in refused(tmp_path / "tail.gz", bytes(packed) + b"x")
    assert "1f 8b" in refused(tmp_path / "plain.gz", IMAGES)
    packed[-6] ^= 1  # the checksum
    assert "damaged" in refused(tmp_path / "sum.gz", bytes(packed))


def test_reader_does_not_inflate_a_bomb(tmp_path, monkeypatch):
    asked = []
    inflate = idx._inflate

    def watched(path, content):
        read = inflate(path, content)
        return lambda size: (asked.append(size), read(size))[1]

    monkeypatch.setattr(idx, "_inflate", watched)
    refused(tmp_path / "bomb.gz", gzip.compress(IMAGES + bytes(50_000_000), 1))
    assert sum(asked) == len(IMAGES) + 1


def test_reader_refuses_what_is_no_file(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match=str(path)):
            idx.read_idx(path)
    monkeypatch.setattr(idx, "MAX_FILE_BYTES", 100)
    assert "more than 100" in refused(tmp_path / "long", IMAGES)


# --- finding and obtaining: a tiny stand-in for Fashion-MNIST ---------------------------------


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A good folder with four tiny files whose sums stand in for the real ones."""
    arrays = {name: PIXELS if "images" in name else PIXELS[:, 0, 0] for name in fetch.SHA256}
    monkeypatch.setattr(fetch, "SHA256", {n: idx.sha256(a) for n, a in arrays.items()})
    monkeypatch.setattr(fetch, "SHARED_FOLDER", tmp_path / "shared")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HALFGEN_DATA", raising=False)
    monkeypatch.setattr(fetch, "project_folder", lambda: tmp_path / "project")
    return fill(tmp_path / "good")


def fill(folder, suffix=".gz"):
    folder.mkdir(parents=True)
    for name in fetch.SHA256:
        idx.write_idx(folder / f"{name}{suffix}", PIXELS if "images" in name else PIXELS[:, 0, 0])
    return folder


def content_of(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Source:
    """A fake download that counts its calls."""

    def __init__(self, error=None, spoil=False):
        self.calls, self.error, self.spoil = 0, error, spoil

    def __call__(self, folder):
        self.calls += 1
        if self.error:
            raise DataError(self.error)
        fill(folder / "inside")
        if self.spoil:
            (folder / "inside/t10k-labels-idx1-ubyte.gz").write_bytes(b"<html>")
        return folder / "inside"


def test_places_are_searched_in_order(tiny, tmp_path, monkeypatch):
    given, named, project, shared = (tmp_path / n for n in ("given", "named", "project", "shared"))
    good = ("fake", Source())
    assert fetch.fetch(sources=[good])[0] == project and good[1].calls == 1
    for path in project.iterdir():
        path.unlink()
    fill(shared, "")
    assert fetch.fetch(sources=[])[0] == shared
    fill(project / "FashionMNIST/raw")  # torchvision's layout
    assert fetch.fetch(sources=[])[0] == project
    monkeypatch.setenv("HALFGEN_DATA", str(fill(named)))
    assert fetch.fetch(sources=[])[0] == named
    assert fetch.fetch(fill(given, ""), sources=[])[0] == given
    assert sorted(content_of(given)) == sorted(fetch.SHA256)  # nothing added to it


def test_project_folder_is_the_checkout(monkeypatch, tmp_path):
    assert fetch.project_folder() == ROOT / "data"
    installed = tmp_path / "site-packages/halfgen_lib/data/fetch.py"
    monkeypatch.setattr(fetch, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    assert fetch.project_folder() == tmp_path / "data"


@pytest.mark.parametrize("by_variable", [False, True])
@pytest.mark.parametrize("fault", ["missing", "cut", "other", "nowhere"])
def test_a_folder_of_the_users_is_an_error_and_untouched(
    tiny, tmp_path, monkeypatch, fault, by_variable
):
    folder = tmp_path / "mine"
    path = folder / "t10k-images-idx3-ubyte.gz"
    if fault != "nowhere":
        fill(folder)
        if fault == "missing":
            path.unlink()
        elif fault == "cut":
            path.write_bytes(path.read_bytes()[:-20])
        else:
            idx.write_idx(path, PIXELS[:2])
    before = content_of(folder)
    source = Source()
    if by_variable:
        monkeypatch.setenv("HALFGEN_DATA", str(folder))
    with pytest.raises(DataError) as caught:
        fetch.fetch(None if by_variable else folder, sources=[("fake", source)])
    message = str(caught.value)
    assert str(folder) in message
    assert ("HALFGEN_DATA" if by_variable else "the folder given") in message
    assert fault == "nowhere" or "t10k-images-idx3-ubyte" in message
    if fault == "other":
        assert idx.sha256(PIXELS) in message and idx.sha256(PIXELS[:2]) in message
    assert content_of(folder) == before and source.calls == 0


def test_a_users_bad_file_in_the_project_folder_is_kept(tiny, tmp_path):
    project = fill(tmp_path / "project")
    path = project / "train-labels-idx1-ubyte.gz"
    path.write_bytes(b"my own notes")
    before = content_of(project)
    source = Source()
    with pytest.raises(DataError, match=r"train-labels.*move it away"):
        fetch.fetch(sources=[("fake", source)])
    assert content_of(project) == before and source.calls == 0


def test_obtaining_completes_a_folder_and_keeps_what_the_user_has(tiny, tmp_path):
    project = fill(tmp_path / "project", "")
    (project / "t10k-images-idx3-ubyte").unlink()
    kept = project / "train-labels-idx1-ubyte"
    stamp = kept.stat().st_mtime_ns
    fetch.fetch(sources=[("fake", Source())])
    assert kept.stat().st_mtime_ns == stamp
    assert not fetch.is_our_download(kept)
    assert fetch.is_our_download(project / "t10k-images-idx3-ubyte")


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b[:-1] + b"\xee", lambda b: b""])
def test_a_bad_cached_download_is_fetched_again(tiny, tmp_path, capsys, damage):
    source = Source()
    project, good = fetch.fetch(sources=[("fake", source)])
    path = project / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    place, arrays = fetch.fetch(sources=[("fake", source)])
    assert place == project and source.calls == 2
    assert all(np.array_equal(arrays[name], good[name]) for name in good)
    assert f"bad cached download is not used: {path}" in capsys.readouterr().out
    assert fetch.fetch(sources=[])[0] == project


def test_bad_and_failing_sources_are_passed_over(tiny, tmp_path, capsys):
    sources = [
        ("deaf", Source("time-out")),
        ("spoilt", Source(spoil=True)),
        ("good", Source()),
    ]
    project, _ = fetch.fetch(sources=sources)
    said = capsys.readouterr().out
    assert "deaf failed: time-out" in said and "spoilt failed" in said and "from good" in said
    allowed = {*fetch.SHA256, fetch.MARKER_NAME, fetch.NOTE_NAME}
    assert {p.name for p in project.iterdir()} == allowed  # no temporary files


def test_nothing_found_lists_what_was_tried_and_three_ways(tiny, tmp_path):
    with pytest.raises(DataError) as caught:
        fetch.fetch(sources=[("mirror", Source("time-out")), ("package", Source("no apt"))])
    message = str(caught.value)
    for part in (
        f"{tmp_path / 'project'} is no folder",
        f"{tmp_path / 'shared'} is no folder",
        "mirror: time-out",
        "package: no apt",
        "1. put the four files",
        "HALFGEN_DATA",
        "2. connect",
        "3. install Debian's package",
    ):
        assert part in message
    assert not any((tmp_path / "project").iterdir())


def test_a_project_folder_that_cannot_be_written_is_said(tiny, tmp_path):
    (tmp_path / "project").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="writing to"):
        fetch.fetch(sources=[("good", Source())])


@pytest.mark.parametrize("where", ["given", "project"])
def test_marker_saves_the_hashing_until_a_file_changes(tiny, tmp_path, monkeypatch, where):
    folder = fill(tmp_path / where)
    named = folder if where == "given" else None
    hashed = Counter()
    sha256 = idx.sha256

    def count(array):
        hashed["calls"] += 1
        return sha256(array)

    monkeypatch.setattr(idx, "sha256", count)
    fetch.fetch(named, sources=[])
    assert hashed["calls"] == 4
    fetch.fetch(named, sources=[])
    assert hashed["calls"] == 4
    assert (folder / fetch.MARKER_NAME).exists() == (where == "project")
    idx.write_idx(folder / "t10k-images-idx3-ubyte.gz", 255 - PIXELS)
    with pytest.raises(DataError, match="t10k-images"):
        fetch.fetch(named, sources=[])
    assert hashed["calls"] == 5


def test_a_spoilt_marker_or_an_unwritable_cache_does_no_harm(tiny, tmp_path, monkeypatch):
    fetch._marker(tiny).parent.mkdir(parents=True)
    fetch._marker(tiny).write_text("[no json")
    fetch.fetch(tiny, sources=[])
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    fetch.fetch(tiny, sources=[])


def test_downloads_say_why_they_fail(tmp_path, monkeypatch):
    def refuse(url, timeout):
        assert timeout <= 10
        raise OSError("no route to host")

    monkeypatch.setattr(download.urllib.request, "urlopen", refuse)
    with pytest.raises(DataError, match=r"https?://.*no route to host"):
        download.from_torchvision(tmp_path)
    monkeypatch.setattr(download.shutil, "which", lambda tool: None)
    with pytest.raises(DataError, match="apt-get is not on this machine"):
        download.from_debian(tmp_path)


# --- with the real data, where they are -------------------------------------------------------


def test_draw_sample_reproduces_the_shipped_files(tmp_path, monkeypatch, capsys):
    def offline(folder):
        raise DataError("tests do not download")

    try:
        place, _ = fetch.fetch(sources=[("none", offline)])
    except DataError as error:
        pytest.skip(f"THE FULL DATA ARE NOT HERE, so the sample was not redrawn: {error}")
    spec = importlib.util.spec_from_file_location("draw_sample", ROOT / "scripts/draw_sample.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setenv("HALFGEN_DATA", str(place))
    script.main(tmp_path)
    for path in tmp_path.iterdir():
        shipped = (data.SAMPLE_FOLDER / path.name).read_bytes()
        if path.suffix == ".gz":  # zlibs differ in how they pack, not in what
            assert gzip.decompress(path.read_bytes()) == gzip.decompress(shipped)
        else:
            assert path.read_bytes() == shipped
    splits = data.split(data.load())
    assert splits.train.labels.bincount().tolist() == [5000] * 10
    assert splits.validation.labels.bincount().tolist() == [1000] * 10
