"""Read and write IDX, the format of MNIST's files, and trust nothing that a file says of itself.

An IDX file of bytes is: two zero bytes, the type code 0x08 (uint8), the number of axes, the length
of each axis as a big-endian uint32, then the values in C order.
Source: http://yann.lecun.com/exdb/mnist/ (bottom of the page).
"""

import gzip
import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

MAX_IMAGES = 60_000
IMAGE_SHAPE = (28, 28)
MAX_FILE_BYTES = 64 << 20  # the largest of the four, uncompressed, has 47 MB
_GZIP_MAGIC = b"\x1f\x8b"


class DataError(Exception):
    """Something that can go wrong with data files did; the message says which file and why."""


class BadFileError(DataError):
    """A file is there, but it is not what it should be.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, found: str, expected: str) -> None:
        """Say what was found in `path` and what was expected instead."""
        super().__init__(f"{path}: found {found}; expected {expected}")
        self.path = path


def header(array: np.ndarray) -> bytes:
    """Return the IDX header of a uint8 array."""
    return struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)


def sha256(array: np.ndarray) -> str:
    """Return the SHA-256 of the uncompressed IDX file that holds a uint8 array."""
    digest = hashlib.sha256(header(array))
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write a uint8 array, gzipped if the name ends in `.gz`, as the same bytes every time."""
    content = header(array) + array.tobytes()
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile("", "wb", 9, buffer, mtime=0) as stream:
            stream.write(content)
        content = buffer.getvalue()
    path.write_bytes(content)


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file of images or of labels, plain or gzipped.

    Memory is bounded whatever the file contains: never more than `MAX_FILE_BYTES` are read, and
    never more decompressed than the header declares, which is at most 60,000 images.

    Returns:
        uint8, (N, 28, 28) for images or (N,) for labels; writable.

    Raises:
        BadFileError: A file that is truncated, corrupted, too long or not IDX.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadFileError(path, f"{error.strerror or error}", "a readable IDX file") from error
    if len(content) > MAX_FILE_BYTES:
        raise BadFileError(path, f"more than {MAX_FILE_BYTES} bytes", "a Fashion-MNIST IDX file")
    if not content:
        raise BadFileError(path, "an empty file", "an IDX file")
    compressed = content.startswith(_GZIP_MAGIC)
    if path.suffix == ".gz" and not compressed:
        raise BadFileError(path, f"first bytes {content[:4].hex(' ')}", "a gzip file (1f 8b)")
    take = _inflate(path, content) if compressed else io.BytesIO(content).read

    shape = _read_shape(path, take)
    size = int(np.prod(shape))
    values = take(size + 1)
    if len(values) != size:
        what = "fewer" if len(values) < size else "more"
        raise BadFileError(
            path,
            f"{what} values than its header declares" + f" ({len(values)})" * (what == "fewer"),
            f"{size} bytes for shape {shape}",
        )
    return np.frombuffer(bytearray(values), np.uint8).reshape(shape)


def _inflate(path: Path, content: bytes) -> Callable[[int], bytes]:
    """Return a `read(size)` over gzipped bytes that never inflates more than it is asked for."""
    stream = zlib.decompressobj(wbits=31)  # 31: a gzip wrapper, its checksum verified
    tail = content

    def read(size: int) -> bytes:
        nonlocal tail
        try:
            values = stream.decompress(tail, size)
        except zlib.error as error:
            raise BadFileError(path, f"damaged gzip data ({error})", "a whole gzip file") from error
        tail = stream.unconsumed_tail
        if len(values) < size and not stream.eof:
            raise BadFileError(path, "gzip data that ends too early", "a whole gzip file")
        if stream.unused_data:
            raise BadFileError(
                path, f"{len(stream.unused_data)} bytes after the gzip data", "no trailing bytes"
            )
        return values

    return read


def _read_shape(path: Path, take: Callable[[int], bytes]) -> tuple[int, ...]:
    """Read an IDX header and return the shape it declares, refusing all but ours."""
    magic = take(4)
    axes = {b"\0\0\x08\x01": 1, b"\0\0\x08\x03": 3}.get(magic)
    if axes is None:
        raise BadFileError(
            path,
            f"magic number {magic.hex(' ') or 'missing'}",
            "00 00 08 03 (images) or 00 00 08 01 (labels)",
        )
    lengths = take(4 * axes)
    if len(lengths) < 4 * axes:
        raise BadFileError(path, f"a header of {4 + len(lengths)} bytes", f"{4 + 4 * axes} bytes")
    shape = struct.unpack(f">{axes}I", lengths)
    if shape[0] > MAX_IMAGES or shape[1:] not in ((), IMAGE_SHAPE):
        raise BadFileError(
            path, f"a header that declares shape {shape}", f"at most {MAX_IMAGES} of 28x28 pixels"
        )
    return shape
