"""Draw the sample that ships with halfgen: 2,000 + 1,000 images of Fashion-MNIST, stratified.

Run from anywhere: `python scripts/draw_sample.py [FOLDER]`. The same data give the same files.
"""

import json
import sys
from pathlib import Path

import torch

from halfgen_lib import data
from halfgen_lib.data import idx

SEED = 0
SIZES = {"train": 2_000, "t10k": 1_000}


def main(folder: Path = data.SAMPLE_FOLDER) -> None:
    """Write the sample's four IDX files and their SHA-256 sums into `folder`."""
    dataset = data.load("full")
    generator = torch.Generator().manual_seed(SEED)
    sums = {}
    folder.mkdir(parents=True, exist_ok=True)
    for part, images in (("train", dataset.train), ("t10k", dataset.test)):
        order = data.stratified_order(images.labels, generator)
        drawn = images.select(order[: SIZES[part]].sort().values)
        for name, array in (
            (f"{part}-images-idx3-ubyte", drawn.images.squeeze(1).numpy()),
            (f"{part}-labels-idx1-ubyte", drawn.labels.to(torch.uint8).numpy()),
        ):
            idx.write_idx(folder / f"{name}.gz", array)
            sums[name] = idx.sha256(array)
            print(f"{folder / name}.gz: {array.shape}")
    (folder / "sha256.json").write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
