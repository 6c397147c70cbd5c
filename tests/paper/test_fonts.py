"""The paper's fonts: taken from the installed Typst, kept in a cache, done without if need be."""

import io
import os
import subprocess
import sys
import warnings

import matplotlib as mpl
import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from halfgen_lib.paper import display, fonts

mpl.use("agg")


def forget():
    for function in (fonts.paper_fonts, fonts.page_fonts, fonts._temporary_folder):
        function.cache_clear()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no memory of another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache" / "halfgen" / f"fonts-{fonts._version()}"
    forget()


@pytest.fixture
def style():
    """Matplotlib's settings and font list as they were, afterwards."""
    known = list(font_manager.fontManager.ttflist)
    with mpl.rc_context():
        yield
    font_manager.fontManager.ttflist[:] = known


@pytest.fixture
def typst_without_fonts(tmp_path, monkeypatch):
    library = tmp_path / "typst.so"
    library.write_bytes(b"ELF OTTO" + b"\0" * 64 + b"OTTO\0\x0a" + b"x" * 300 + b"OTTO")
    monkeypatch.setattr(fonts, "_libraries", lambda: [library])


def test_installed_typst_holds_the_fonts(cache):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fonts.paper_fonts()
    assert set(found) == set(fonts.FACES)
    for face, path in found.items():
        font = TTFont(path)
        assert path.parent == cache and font["name"].getDebugName(6) == face
        assert {ord(letter) for letter in "Aé0λ×→"} <= set(font.getBestCmap())
    assert sorted(p.name for p in cache.iterdir()) == sorted(f"{face}.otf" for face in found)


def test_cache_is_used_again_and_a_damaged_file_is_replaced(cache, monkeypatch):
    first = {face: path.read_bytes() for face, path in fonts.paper_fonts().items()}
    damaged = fonts.paper_fonts()["LibertinusSerif-Bold"]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    forget()
    assert {face: path.read_bytes() for face, path in fonts.paper_fonts().items()} == first
    forget()
    monkeypatch.setattr(fonts, "_libraries", lambda: pytest.fail("the cache was not used"))
    assert {face: path.read_bytes() for face, path in fonts.paper_fonts().items()} == first


def test_processes_at_once_and_apart_make_the_same_bytes(tmp_path):
    script = (
        "import hashlib; from halfgen_lib.paper import fonts\n"
        "fonts.PAGE_FACES = {k: v for k, v in fonts.PAGE_FACES.items() if 'Italic' in k}\n"
        "print(hashlib.sha256(fonts.font_faces().encode()).hexdigest())"
    )
    running = []
    for seed, folder in enumerate(("shared", "shared", "other")):
        own = {"XDG_CACHE_HOME": str(tmp_path / folder), "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-W", "error", "-c", script]
        running.append(
            subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True)
        )
    assert len({process.communicate()[0] for process in running}) == 1
    assert [process.returncode for process in running] == [0, 0, 0]
    for folder in ("shared", "other"):
        files = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
        assert len(files) == len(fonts.FACES) + 1


def test_page_fonts_are_small_and_keep_their_licence():
    found = fonts.page_fonts()
    assert set(found) == set(fonts.PAGE_FACES)
    for face, path in found.items():
        font = TTFont(path)
        licence = " ".join(font["name"].getDebugName(i) or "" for i in (0, 13, 14))
        assert font.flavor == "woff" and path.stat().st_size < 250_000
        assert ("GUST" if "Math" in face else "SIL Open") + " Font License" in licence
        assert {ord(letter) for letter in "A0λ"} <= set(font.getBestCmap())


def test_typst_without_fonts_costs_one_warning(cache, style, typst_without_fonts):
    font_manager.fontManager.ttflist[:] = [
        entry for entry in font_manager.fontManager.ttflist if "Libertinus" not in entry.name
    ]
    with pytest.warns(UserWarning, match="LibertinusSerif-Regular") as said:
        display.use_paper_style()
        display.use_paper_style()
        assert fonts.font_faces() == ""
    assert len(said) == 1 and not cache.exists()
    assert "STIXGeneral" in font_manager.findfont(font_manager.FontProperties())
    assert mpl.rcParams["mathtext.fontset"] == "stix"


def test_no_typst_at_all_is_no_failure(cache, monkeypatch):
    monkeypatch.setattr(fonts, "_libraries", lambda: [])
    with pytest.warns(UserWarning):
        assert fonts.paper_fonts() == {}


def test_a_cache_that_cannot_be_written_is_replaced(tmp_path, cache, style, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    display.use_paper_style()
    path = fonts.paper_fonts()["LibertinusSerif-Regular"]
    assert path.exists() and fonts.paper_fonts()["LibertinusSerif-Regular"] == path
    assert "Libertinus Serif" in mpl.rcParams["font.family"]
    assert str(path) in {entry.fname for entry in font_manager.fontManager.ttflist}


def test_a_font_is_measured_by_its_table_directory(cache):
    font = fonts.paper_fonts()["LibertinusSerif-Bold"].read_bytes()
    assert fonts._font_length(b"??" + font + b"more", 2) == len(font)
    assert fonts._font_length(font[:-1]) == 0
    assert fonts._font_length(font[:20]) == 0 and fonts._font_length(b"") == 0
    assert fonts._font_length(b"true" + font[4:]) == 0
    assert TTFont(io.BytesIO(font))["OS/2"].usWeightClass == 700
