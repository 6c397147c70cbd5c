"""Take the paper's fonts out of the installed Typst, which carries them, and keep them in a cache.

No font is part of this package and none is downloaded: Typst's extension library holds whole
OpenType files. They are copied once to `$XDG_CACHE_HOME/halfgen/fonts-<version of Typst>` (by
default under `~/.cache`; a temporary folder if that cannot be written), where matplotlib reads
them, so that figures, PDF and HTML share one typeface. A Typst without them costs the look, with
one warning, and never the figure or the paper.

Libertinus Serif is under the SIL Open Font License 1.1, New Computer Modern under the GUST Font
License; both come with Typst and may be embedded in documents. The HTML page embeds modified
versions, namely subsets, whose name tables keep the copyright and licence records.
"""

import base64
import functools
import hashlib
import importlib.metadata
import importlib.util
import io
import mmap
import os
import re
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ..files import write_atomic

FIGURE_FACES = ("LibertinusSerif-Regular", "LibertinusSerif-Italic", "LibertinusSerif-Bold")
PAGE_FACES = {  # by PostScript name: how the page's style sheet asks for it
    "LibertinusSerif-Regular": '"Paper Serif"; font-weight: 400; font-style: normal',
    "LibertinusSerif-Italic": '"Paper Serif"; font-weight: 400; font-style: italic',
    "LibertinusSerif-Semibold": '"Paper Serif"; font-weight: 600; font-style: normal',
    "NewCMMath-Book": '"Paper Math"; font-weight: 400; font-style: normal',
}
FACES = tuple(dict.fromkeys([*FIGURE_FACES, *PAGE_FACES]))

# Latin, Greek and the symbols of prose; for mathematics also its alphabets and operators.
_TEXT = (
    "20-7e a0-17f 218-21b 2c6-2dd 300-30c 391-3c9 3d1 3d5 2010-2027 202f-203a 2044 2070-2089 "
    "20ac 2122 2190-2194 21d2 2200-221e 2248 2260-2265 25a0-25cf"
)
_MATH = (
    "20-7e ac b1 b7 d7 f7 131 237 2c6-2dd 300-30c 338 391-3c9 3d1 3d5 3f1 3f5 2016-2034 203e "
    "2061-2064 20d7 2102-2134 2190-2194 21a6 21d0-21d4 2200-2288 2295-2299 22a4-22a5 22c5 "
    "22ee-22f1 2308-230b 23de-23df 27e8-27e9 1d400-1d4b5 1d538-1d550 1d6fc-1d755 1d7ce-1d7d7"
)
_FEATURES = ("ccmp", "locl", "kern", "liga", "mark", "mkmk", "lnum", "tnum", "ssty")
_NAMES = (0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17)  # 0, 13 and 14: copyright, licence, its address
_TABLES = {b"CFF ", b"cmap", b"head", b"name"}


@functools.cache
def paper_fonts() -> Mapping[str, Path]:
    """Return the full OpenType files of `FACES`, by PostScript name.

    A face that the installed Typst does not hold is left out, with a warning the first time.
    """
    found = {face: path for face in FACES if (path := _kept(f"{face}.otf"))}
    if len(found) < len(FACES):
        for library in _libraries():
            for face, content in _embedded_fonts(library):
                if face in FACES and face not in found:
                    found[face] = _keep(f"{face}.otf", content)
    if missing := [face for face in FACES if face not in found]:
        warnings.warn(
            f"the installed Typst ({_version()}) holds no {', '.join(missing)}: figures and pages "
            "are shown in other serif fonts",
            stacklevel=2,
        )
    return found


@functools.cache
def page_fonts() -> Mapping[str, Path]:
    """Return subsets of `PAGE_FACES` as WOFF files, by PostScript name.

    The same Typst, fontTools and zlib give the same bytes. Making them takes seconds, once.
    """
    import fontTools

    recipe = repr((_TEXT, _MATH, _FEATURES, _NAMES, fontTools.version, zlib.ZLIB_RUNTIME_VERSION))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    found = {}
    for face, source in paper_fonts().items():
        if face in PAGE_FACES:
            name = f"{face}-{key}.woff"
            found[face] = _kept(name) or _keep(name, _subset(source))
    return found


def font_faces() -> str:
    """Return CSS `@font-face` rules, with their fonts inside; empty where there are none."""
    rules = []
    for face, path in page_fonts().items():
        content = base64.b64encode(path.read_bytes()).decode()
        source = f'url(data:font/woff;base64,{content}) format("woff")'
        rules.append(f"@font-face {{ font-family: {PAGE_FACES[face]}; src: {source}; }}\n")
    return "".join(sorted(rules))


def _subset(font: Path) -> bytes:
    """Return the part of a font that papers use, as WOFF."""
    from fontTools import subset  # slow to import, and only ever needed once

    options = subset.Options(flavor="woff", hinting=False, recalc_timestamp=False)
    options.name_IDs = list(_NAMES)
    options.layout_features = list(_FEATURES)
    options.drop_tables += ["FFTM"]  # FontForge's time stamp
    with subset.load_font(font, options) as part:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=_codes(_MATH if "Math" in font.name else _TEXT))
        subsetter.subset(part)
        buffer = io.BytesIO()
        subset.save_font(part, buffer, options)
    return buffer.getvalue()


def _codes(ranges: str) -> Iterator[int]:
    for words in ranges.split():
        first, _, last = words.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def _version() -> str:
    try:
        return importlib.metadata.version("typst")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _libraries() -> list[Path]:
    """Return the extension library of the installed Typst, without loading it."""
    spec = importlib.util.find_spec("typst")
    folders = [Path(f) for f in (spec and spec.submodule_search_locations) or ()]
    return [
        p for f in folders for end in ("so", "pyd", "dylib") for p in sorted(f.glob(f"*.{end}"))
    ]


def _embedded_fonts(library: Path) -> Iterator[tuple[str, bytes]]:
    """Yield PostScript name and content of each OpenType font (with CFF outlines) in a file."""
    if not library.stat().st_size:
        return
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        start = whole.find(b"OTTO")
        while start >= 0:
            length = _font_length(whole, start)
            if length:
                content = whole[start : start + length]
                yield _postscript_name(content), content
            start = whole.find(b"OTTO", start + max(length, 4))


def _postscript_name(font: bytes) -> str:
    from fontTools.ttLib import TTFont

    with suppress(Exception):  # whatever a damaged font makes fontTools raise
        return TTFont(io.BytesIO(font), lazy=True)["name"].getDebugName(6) or ""
    return ""


def _font_length(data: bytes | mmap.mmap, start: int = 0) -> int:
    """Return the bytes that the OpenType font at `start` takes; 0 if none is there.

    See "Table directory" in the OpenType specification.
    """
    head = data[start : start + 12]
    if len(head) < 12 or head[:4] != b"OTTO":
        return 0
    count, search_range = struct.unpack(">HH", head[4:8])
    first = 12 + 16 * count
    directory = data[start + 12 : start + first]
    if not count or search_range != 16 << count.bit_length() - 1 or len(directory) < 16 * count:
        return 0
    tables = {tag: place for tag, _, *place in struct.iter_unpack(">4sIII", directory)}
    end = max(offset + length for offset, length in tables.values())
    sound = tables.keys() >= _TABLES and all(offset >= first for offset, _ in tables.values())
    return end if sound and start + end <= len(data) else 0


def _cache_folder() -> Path:
    asked = os.environ.get("XDG_CACHE_HOME", "")  # to be ignored unless absolute, says XDG
    base = Path(asked) if os.path.isabs(asked) else Path.home() / ".cache"
    return base / "halfgen" / f"fonts-{re.sub(r'[^0-9A-Za-z.+-]', '_', _version())}"


@functools.cache
def _temporary_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="halfgen-fonts-")  # removed when Python ends


def _kept(name: str) -> Path | None:
    """Return the path of a font in the cache; None if it is not there or not whole."""
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        path = _cache_folder() / name
        content = path.read_bytes()
        woff = content[:4] == b"wOFF" and int.from_bytes(content[8:12])
        if content and len(content) == (woff or _font_length(content)):
            return path
    return None


def _keep(name: str, content: bytes) -> Path:
    """Write a font to the cache, or else to the temporary folder, and return its path."""
    with suppress(OSError, RuntimeError):
        return _write(_cache_folder() / name, content)
    return _write(Path(_temporary_folder().name, name), content)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path
