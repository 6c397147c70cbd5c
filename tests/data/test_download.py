"""The files: read, verified, searched for and downloaded (from fake sources); all offline.

A few bytes of no format stand in for Fashion-MNIST: only their sums are looked at.
"""

import gzip
import hashlib
import io
import os

import pytest

from halfgen_lib.data import DataError, download
from halfgen_lib.torchvision_compat import import_torchvision

CONTENT = {name: name.encode() * 50 for name in download.FASHION_MNIST}
NAME, WHOLE = "t10k-images-idx3-ubyte", CONTENT["t10k-images-idx3-ubyte"]


def sum_of(content):
    return hashlib.sha256(content).hexdigest()


SUMS = {name: sum_of(content) for name, content in CONTENT.items()}


# --- one file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["file", "file.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_good_file_is_read_packed_or_not(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(WHOLE))
    assert download.read_verified(tmp_path / name, sum_of(WHOLE)) == WHOLE


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        download.read_verified(path, sum_of(WHOLE))
    message = str(caught.value)
    assert str(path) in message and "found" in message and sum_of(WHOLE) in message
    return message


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_cut_or_changed_anywhere_is_refused(tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    whole = gzip.compress(WHOLE, mtime=0) if suffix else WHOLE
    for at in range(len(whole)):
        refused(path, whole[:at])
        if not (suffix and 4 <= at < 10):  # the time and the system in gzip's header
            refused(path, whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", f"0 bytes with SHA-256 {sum_of(b'')}"),
        (b"<!DOCTYPE html><p>404", "21 bytes"),
        (WHOLE + b"\0", sum_of(WHOLE + b"\0")),
        (gzip.compress(WHOLE + b"\0", mtime=0), sum_of(WHOLE + b"\0")),
        (gzip.compress(WHOLE, mtime=0) * 2, sum_of(WHOLE * 2)),
        (gzip.compress(WHOLE, mtime=0) + b"x", "Not a gzipped file"),
        (gzip.compress(WHOLE, mtime=0)[:-9], "ended before"),
        (gzip.compress(gzip.compress(WHOLE, mtime=0), mtime=0), "SHA-256"),
    ],
)
def test_foreign_files_are_refused_with_what_was_found(tmp_path, content, found):
    assert found in refused(tmp_path / "bad", content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_no_more_than_a_bound_is_read(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(download, "MAX_BYTES", 2000)
    assert "found 2,000 bytes" in refused(tmp_path / "bomb", pack(WHOLE + bytes(50_000_000)))


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match=str(path)):
            download.read_verified(path, sum_of(WHOLE))


# --- a folder ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Return the data folder, not there yet, of a project with no other place and no source."""
    monkeypatch.setitem(download.SHA256, "full", SUMS)
    monkeypatch.setattr(download, "SHARED_FOLDER", tmp_path / "shared")
    monkeypatch.setattr(download, "SOURCES", ())
    monkeypatch.setattr(download, "project_root", lambda: tmp_path)
    monkeypatch.delenv("HALFGEN_DATA", raising=False)
    return tmp_path / "data"


def fill(folder, suffix=".gz"):
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return folder


def content_of(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Source:
    """A fake download that counts its calls."""

    def __init__(self, error=None, spoilt=None):
        self.calls, self.error, self.spoilt = 0, error, spoilt

    def __call__(self, folder):
        self.calls += 1
        if self.error:
            raise self.error
        fill(folder / "inside")
        if self.spoilt is not None:
            (folder / "inside/t10k-labels-idx1-ubyte.gz").write_bytes(self.spoilt)
        return folder / "inside"


@pytest.fixture
def source(monkeypatch):
    source = Source()
    monkeypatch.setattr(download, "SOURCES", [("fake", source)])
    return source


def test_places_are_searched_in_order(project, source, tmp_path, monkeypatch):
    assert download.find("full") == (project, CONTENT) and source.calls == 1
    for path in project.iterdir():
        path.unlink()
    shared = fill(tmp_path / "shared", "")
    assert download.find("full")[0] == shared
    fill(project / "FashionMNIST/raw")  # torchvision's layout
    assert download.find("full")[0] == project
    named = fill(tmp_path / "named")
    monkeypatch.setenv("HALFGEN_DATA", str(named))
    assert download.find("full")[0] == named
    given = fill(tmp_path / "given", "")
    assert download.find("full", given) == (given, CONTENT)
    assert download.find("full", str(given))[0] == given
    assert content_of(given) == CONTENT and source.calls == 1  # nothing added to it


@pytest.mark.parametrize("by_variable", [False, True])
@pytest.mark.parametrize("fault", ["missing", "cut", "other", "nowhere"])
def test_a_folder_of_the_users_is_an_error_and_untouched(
    source, tmp_path, monkeypatch, fault, by_variable
):
    folder = tmp_path / "mine"
    path = folder / f"{NAME}.gz"
    if fault != "nowhere":
        fill(folder)
        if fault == "missing":
            path.unlink()
        elif fault == "cut":
            path.write_bytes(path.read_bytes()[:-20])
        else:
            path.write_bytes(b"other")
    before = content_of(folder)
    if by_variable:
        monkeypatch.setenv("HALFGEN_DATA", str(folder))
    with pytest.raises(DataError) as caught:
        download.find("full", None if by_variable else folder)
    message = str(caught.value)
    assert message.startswith("HALFGEN_DATA: " if by_variable else "the folder given: ")
    assert str(folder) in message and "Three ways to mend it" in message
    assert fault == "nowhere" or NAME in message.partition("Three ways")[0]
    if fault == "other":
        assert SUMS[NAME] in message and sum_of(b"other") in message
    assert content_of(folder) == before and source.calls == 0


@pytest.mark.parametrize("named", [".", "FashionMNIST", "FashionMNIST/raw"])
def test_any_of_torchvisions_folders_may_be_named(named, tmp_path, monkeypatch):
    fill(tmp_path / "root/FashionMNIST/raw", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HALFGEN_DATA", f"root/{named}")
    assert download.find("full") == (tmp_path / "root" / named, CONTENT)


def test_a_whole_gz_beside_a_broken_raw_file_is_used_with_a_note(tmp_path, capsys):
    folder = fill(tmp_path / "mine", "")
    (folder / NAME).write_bytes(WHOLE[:-1])
    (folder / f"{NAME}.gz").write_bytes(gzip.compress(WHOLE))
    before = content_of(folder)
    assert download.find("full", folder) == (folder, CONTENT) and content_of(folder) == before
    out = capsys.readouterr().out
    assert f"{folder / NAME}: found" in out and f"{NAME}.gz beside it is whole and is used" in out
    assert out.count("\n") == 1
    (folder / f"{NAME}.gz").write_bytes(b"broken, too")
    with pytest.raises(DataError, match=rf"{NAME}(\.gz)?: found"):
        download.find("full", folder)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_bad_file_in_the_project_folder_is_kept_until_it_is_moved_away(project, source, suffix):
    path = fill(project, suffix) / f"{NAME}{suffix}"
    path.write_bytes(b"my own notes, or a download that the disk has spoilt")
    before = content_of(project)
    with pytest.raises(DataError, match=rf"{path}: found(.|\n)*move a bad file away"):
        download.find("full")
    assert content_of(project) == before and source.calls == 0
    path.unlink()
    assert download.find("full") == (project, CONTENT) and source.calls == 1
    assert download.find("full") == (project, CONTENT) and source.calls == 1


def test_obtaining_completes_a_folder_and_keeps_what_the_user_has(project, source):
    fill(project, "")
    (project / NAME).unlink()
    link = project / "train-images-idx3-ubyte"
    link.unlink()
    link.symlink_to("a disk that is not there")
    kept = project / "train-labels-idx1-ubyte"
    stamp = kept.stat().st_mtime_ns
    assert download.find("full") == (project, CONTENT)
    assert kept.stat().st_mtime_ns == stamp and link.is_symlink()
    assert (project / NAME).read_bytes() == WHOLE


def test_bad_and_failing_sources_are_passed_over(project, monkeypatch, capsys):
    whole = gzip.compress(CONTENT["t10k-labels-idx1-ubyte"])
    sources = {
        "deaf": Source(TimeoutError("time-out")),
        "spoilt": Source(spoilt=b"<html>"),
        "partial": Source(spoilt=whole[:-5]),
        "good": Source(),
    }
    monkeypatch.setattr(download, "SOURCES", sources.items())
    download.find("full")
    said = capsys.readouterr().out
    assert "deaf failed: time-out" in said and "from good" in said
    assert "spoilt failed" in said and "partial failed" in said
    assert content_of(project) == CONTENT
    assert {p.name for p in project.iterdir()} == set(CONTENT)  # no temporary files


def test_nothing_found_lists_what_was_tried_and_three_ways(project, tmp_path, monkeypatch):
    mirror, package = Source(TimeoutError("time-out")), Source(DataError("no apt"))
    monkeypatch.setattr(download, "SOURCES", [("mirror", mirror), ("package", package)])
    with pytest.raises(DataError) as caught:
        download.find("full")
    message = str(caught.value)
    for part in (
        f"{project} is no folder",
        f"{tmp_path / 'shared'} is no folder",
        "mirror: time-out",
        "package: no apt",
        "1. put the four files",
        "HALFGEN_DATA",
        "2. move a bad file away, connect",
        "3. install Debian's package",
    ):
        assert part in message
    assert not any(project.iterdir())


def test_a_project_folder_that_cannot_be_written_is_said(project, source):
    project.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=rf"fake: .*File exists: '{project}'"):
        download.find("full")
    assert source.calls == 0  # before anything is downloaded


# --- the sources ------------------------------------------------------------------------------


def test_the_mirror_is_the_one_that_torchvision_names():
    theirs = import_torchvision("torchvision.datasets").FashionMNIST
    assert download.MIRROR in theirs.mirrors
    assert {f"{name}.gz" for name in CONTENT} == {name for name, _ in theirs.resources}


def test_the_mirror_is_read_within_bounds(tmp_path, monkeypatch):
    def answer(url, timeout):
        assert url.startswith(download.MIRROR) and timeout <= 10
        return io.BytesIO(gzip.compress(CONTENT[url.rpartition("/")[2].removesuffix(".gz")]))

    monkeypatch.setattr(download.urllib.request, "urlopen", answer)
    assert download.read_folder(download.from_mirror(tmp_path), SUMS) == CONTENT
    monkeypatch.setattr(download, "FILE_TIMEOUT", -1)
    with pytest.raises(DataError, match=r"http.* took longer than"):
        download.from_mirror(tmp_path)


def test_a_mirror_that_never_ends_is_left(tmp_path, monkeypatch):
    endless = bytes(9 << 20)
    monkeypatch.setattr(
        download.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(endless)
    )
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    folder = download.from_mirror(tmp_path)
    assert {path.stat().st_size for path in folder.iterdir()} == {1 << 20}  # one read each


def test_downloads_say_why_they_fail(monkeypatch):
    def refuse(url, timeout):
        raise OSError("no route to host")

    sources = [("mirror", download.from_mirror), ("Debian", download.from_debian)]
    monkeypatch.setattr(download, "SOURCES", sources)
    monkeypatch.setattr(download.urllib.request, "urlopen", refuse)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(DataError, match=r"mirror: no route to host\n.*Debian: .*'apt-get'"):
        download.find("full")


def test_apt_is_quoted_where_it_fails(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text("#!/bin/sh\necho E: $4 failed >&2\nexit 100\n")
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DataError, match="E: download failed; E: update failed"):
        download.from_debian(tmp_path / "folder")
