"""Data files that are damaged, foreign, swapped or bombs: the documented error, little memory."""

import gzip
import hashlib
import itertools
import os
import resource
import struct
import tracemalloc
import zlib
from datetime import timedelta
from pathlib import Path

import processes
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from halfgen_lib.data import DataError, download

SUBJECT = "data files: mutated"
MUTATIONS = 400
MOST_MEMORY = 200 << 20

HEADER = struct.pack(">HBB3I", 0, 8, 3, 3, 28, 28)
WHOLE = HEADER + bytes(i * i % 251 for i in range(3 * 28 * 28))


def sum_of(content):
    return hashlib.sha256(content).hexdigest()


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
    content, is_packed = WHOLE, draw(st.booleans())
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
def test_a_mutated_file_is_refused_or_holds_the_same_bytes(tmp_path_factory, fault, file):
    suffix, content = file
    path = tmp_path_factory.getbasetemp() / f"mutated{suffix}"
    path.write_bytes(content)
    with fault(SUBJECT):
        tracemalloc.start()
        try:
            assert download.read_verified(path, sum_of(WHOLE)) == WHOLE  # gzip's header may differ
        except DataError as error:
            assert str(path) in str(error) and "expected" in str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST_MEMORY


def zeros(head, megabytes):
    """Return gzip of a head and as many zeros, made piece by piece."""
    stream, block = zlib.compressobj(1, wbits=31), bytes(1 << 20)
    pieces = [stream.compress(head), *(stream.compress(block) for _ in range(megabytes))]
    return b"".join([*pieces, stream.flush()])


BOMBS = {
    "after a whole file": lambda: zeros(WHOLE, 300),
    "of nothing else": lambda: zeros(b"", 300),
    "in a bomb": lambda: packed(zeros(WHOLE, 300)),
    "not packed": lambda: WHOLE + bytes(80 << 20),
}


def read_in_little_memory(path):
    """End with 0 if the file is refused with 200 MB more than this process has, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        download.read_verified(path, sum_of(WHOLE))
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

CONTENT = {name: name.encode() * 50 for name in download.FASHION_MNIST}


def write_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Four small files stand in for Fashion-MNIST's, which a source gives."""
    sums = {name: sum_of(content) for name, content in CONTENT.items()}
    monkeypatch.setitem(download.SHA256, "full", sums)
    monkeypatch.setattr(download, "SHARED_FOLDER", tmp_path / "nowhere")
    monkeypatch.setattr(download, "SOURCES", [("fake", lambda place: write_folder(place / "four"))])
    monkeypatch.delenv("HALFGEN_DATA", raising=False)


@pytest.mark.parametrize("pair", list(itertools.permutations(CONTENT, 2)), ids=" for ".join)
def test_swapped_files_are_named(pair, small, tmp_path, fault):
    folder, (one, other) = write_folder(tmp_path / "data"), pair
    (folder / other).write_bytes((folder / one).read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with fault("data files: swapped"):
        with pytest.raises(DataError, match=other):
            download.find("full", folder)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before


def obtain(point, count):
    processes.die_at(point, count)
    download.find("full")


@pytest.mark.parametrize("point", ["half-written", "written", "moved"])
def test_obtaining_is_killed_at_every_file(point, small, tmp_path, monkeypatch, fault):
    """What is there is whole; the next start takes it, and the rest from the source."""
    mine = next(iter(CONTENT))
    for count in range(1, len(CONTENT)):
        project = tmp_path / f"{count}" / "data"
        project.mkdir(parents=True)
        (project / mine).write_bytes(CONTENT[mine])
        stamp = (project / mine).stat().st_mtime_ns
        monkeypatch.setattr(download, "project_root", lambda root=project.parent: root)
        with fault("data files: kill -9 while they are obtained"):
            assert processes.end(processes.start(obtain, point, count)) == -9
            there = {path.name: path.read_bytes() for path in project.glob("*-ubyte")}
            assert len(there) == count + (point == "moved") and there.items() <= CONTENT.items()
            assert download.find("full") == (project, CONTENT)
            assert all((project / name).read_bytes() == CONTENT[name] for name in CONTENT)
            assert (project / mine).stat().st_mtime_ns == stamp  # the user's own
