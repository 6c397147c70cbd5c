"""Draw the sample that ships with halfgen: 2,000 + 1,000 images of Fashion-MNIST, stratified.

Run from anywhere: `python scripts/draw_sample.py [FOLDER]`. The same data give the same files.
"""

import gzip
import hashlib
import json
import struct
import sys
from pathlib import Path

import torch

from halfgen_lib import data
from halfgen_lib.data.download import SAMPLE_FOLDER

SEED = 0
SIZES = {"train": 2_000, "t10k": 1_000}


def main(folder: Path = SAMPLE_FOLDER) -> None:
    """Write the sample's four IDX files and their SHA-256 sums into `folder`."""
    dataset = data.load("full")
    generator = torch.Generator().manual_seed(SEED)
    sums = {}
    folder.mkdir(parents=True, exist_ok=True)
    for part, images in (("train", dataset.train), ("t10k", dataset.test)):
        order = data.stratified_order(images.labels, generator)
        drawn = images.select(order[: SIZES[part]].sort().values)
        for name, values in (
            (f"{part}-images-idx3-ubyte", drawn.images.squeeze(1)),
            (f"{part}-labels-idx1-ubyte", drawn.labels.to(torch.uint8)),
        ):
            header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            content = header + values.numpy().tobytes()
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            sums[name] = hashlib.sha256(content).hexdigest()
            print(f"{folder / name}.gz: {tuple(values.shape)}")
    (folder / "sha256.json").write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
