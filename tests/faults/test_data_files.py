"""Data files that are damaged, foreign, swapped or bombs: the documented error, little memory."""

import gzip
import itertools
import os
import resource
import struct
import tracemalloc
import zlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import processes
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from halfgen_lib.data import fetch, idx
from halfgen_lib.data.idx import DataError

SUBJECT = "data files: mutated"
MUTATIONS = 400
MOST_MEMORY = 200 << 20

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
WHOLE = [idx.header(array) + array.tobytes() for array in (PIXELS, PIXELS[:, 0, 0])]


def packed(content):
    return gzip.compress(content, mtime=0)


def anywhere(content):
    """A position, as often in the header as in all the rest."""
    return st.one_of(st.integers(0, min(20, len(content))), st.integers(0, len(content)))


@st.composite
def mutation(draw, content):
    """Return content that one thing has happened to."""
    at, kind = (
        draw(anywhere(content)),
        draw(st.sampled_from(["cut", "flip", "set", "insert", "drop", "add"])),
    )
    some = draw(st.binary(min_size=1, max_size=20))
    number = struct.pack(
        ">I", draw(st.sampled_from([0, 1, 2, 4, 60_000, 60_001, 2**31, 2**32 - 1]))
    )
    return {
        "cut": content[:at],
        "flip": content[:at] + bytes(b ^ some[0] for b in content[at : at + 1]) + content[at + 1 :],
        "set": content[:at] + number + content[at + 4 :],
        "insert": content[:at] + some + content[at:],
        "drop": content[:at] + content[at + len(some) :],
        "add": content + draw(st.sampled_from([some, content, packed(content), bytes(4096)])),
    }[kind]


@st.composite
def bad_files(draw):
    """Return a file's suffix and content, changed before it was packed, after it, or both."""
    content, is_packed = draw(st.sampled_from(WHOLE)), draw(st.booleans())
    before, after = draw(st.sampled_from([(1, 0), (0, 1), (1, 1), (2, 0), (0, 3)]))
    good = packed(content) if is_packed else content
    for _ in range(before):
        content = draw(mutation(content))
    content = packed(content) if is_packed else content
    for _ in range(after):
        content = draw(mutation(content))
    assume(content != good)
    return draw(st.sampled_from(["", ".gz"])), content


@settings(
    max_examples=MUTATIONS,
    derandomize=True,
    database=None,
    deadline=timedelta(seconds=20),
    suppress_health_check=list(HealthCheck),
)
@given(bad_files())
def test_a_mutated_file_is_refused_or_says_the_truth(tmp_path_factory, fault, file):
    suffix, content = file
    path = tmp_path_factory.getbasetemp() / f"mutated{suffix}"
    path.write_bytes(content)
    with fault(SUBJECT):
        tracemalloc.start()
        try:
            array = idx.read_idx(path)
        except DataError as error:
            assert str(path) in str(error) and "expected" in str(error)
        else:  # other pixels, or other words in gzip's header: only a checksum can tell
            said = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            assert idx.header(array) + array.tobytes() == said
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST_MEMORY


def zeros(head, megabytes):
    """Return gzip of a head and as many zeros, made piece by piece."""
    stream, block = zlib.compressobj(1, wbits=31), bytes(1 << 20)
    pieces = [stream.compress(head), *(stream.compress(block) for _ in range(megabytes))]
    return b"".join([*pieces, stream.flush()])


def declared(*shape):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


BOMBS = {
    "after a whole file": lambda: zeros(WHOLE[0], 300),
    "as the images that it declares": lambda: zeros(declared(60_000, 28, 28), 300),
    "as the labels that it declares": lambda: zeros(declared(60_000), 300),
    "without a header": lambda: zeros(b"", 300),
    "in a bomb": lambda: packed(zeros(WHOLE[0], 300)),
    "with a billion images": lambda: zeros(declared(10**9, 28, 28), 300),
    "not packed": lambda: WHOLE[0] + bytes(80 << 20),
}


def read_in_little_memory(path):
    """End with 0 if the file is refused with 200 MB more than this process has, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        idx.read_idx(path)
    except DataError:
        os._exit(0)
    os._exit(1)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_does_not_go_off(kind, tmp_path, fault):
    path = tmp_path / "bomb.gz" if kind != "not packed" else tmp_path / "bomb"
    path.write_bytes(BOMBS[kind]())
    with fault("data files: bombs"):
        assert processes.end(processes.start(read_in_little_memory, path)) == 0


# ---- the four files of a folder

ARRAYS = {
    name: np.full((2 + i, 28, 28) if "images" in name else 2 + i, i, dtype=np.uint8)
    for i, name in enumerate(fetch.SHA256)
}


def write_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ARRAYS.items():
        idx.write_idx(folder / name, array)
    return folder


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Four small files stand in for Fashion-MNIST's."""
    sums = {name: idx.sha256(array) for name, array in ARRAYS.items()}
    monkeypatch.setattr(fetch, "SHA256", sums)
    monkeypatch.setattr(fetch, "SHARED_FOLDER", tmp_path / "nowhere")
    monkeypatch.delenv("HALFGEN_DATA", raising=False)


@pytest.mark.parametrize("pair", itertools.permutations(ARRAYS, 2), ids=" for ".join)
def test_swapped_files_are_named(pair, small, tmp_path, fault):
    folder, (one, other) = write_folder(tmp_path / "data"), pair
    (folder / other).write_bytes((folder / one).read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with fault("data files: swapped"):
        with pytest.raises(DataError, match=other):
            fetch.fetch(folder, sources=[])
        assert {path: path.read_bytes() for path in folder.iterdir()} == before


def obtain(project, point=None, count=0):
    if point:
        processes.die_at(point, count)
    fetch.fetch(project=project, sources=[("fake", lambda place: write_folder(place / "four"))])


@pytest.mark.parametrize("point", ["written", "moved"])
def test_obtaining_is_killed_at_every_file(point, small, tmp_path, fault):
    """What is there is whole; the next start takes it, and the rest from the source."""
    mine = next(iter(ARRAYS))
    for count in range(1, 8):
        project = tmp_path / f"{count}"
        project.mkdir()
        idx.write_idx(project / mine, ARRAYS[mine])
        stamp = (project / mine).stat().st_mtime_ns
        with fault("data files: kill -9 while they are obtained"):
            assert processes.end(processes.start(obtain, project, point, count)) == -9
            assert all(p.stat().st_size for p in project.iterdir() if p.is_file())
            obtain(project)
            _, arrays = fetch.fetch(project=project, sources=[])
            assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
            assert (project / mine).stat().st_mtime_ns == stamp  # the user's own
