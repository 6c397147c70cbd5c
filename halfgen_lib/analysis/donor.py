"""The sampler that needs no network: another image's right half."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.base import HALF_SHAPE, check_left
from .baselines import NearestNeighbours, flat_rows


class Donor(NearestNeighbours):
    """Draw the right half of one of the k training images with the nearest left halves.

    Hot-deck imputation (Andridge and Little 2010): every draw is a real right half, so its pixels
    fit each other, whether or not they fit the left half; and every draw is a copy. ``predict`` is
    the mean of all k, the point baseline, by whose validation error k is chosen.
    """

    title = "donor"

    def sample(self, left: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw right halves, each of the k donors as likely as the others, independently.

        Args:
            left: (N, 1, 28, 14), floating point in [0, 1]; N may be 0.
            n: draws for each left half, 1 or more.
            generator: on the CPU.

        Returns:
            (n, N, 1, 28, 14) in [0, 1], of the type and on the device of ``left``.

        Raises:
            RuntimeError: before :meth:`fit`.
            TypeError, ValueError: as :func:`~halfgen_lib.models.base.check_left`; if n < 1.
        """
        check_left(left)
        if n < 1:
            raise ValueError(f"n is {n}, allowed: 1 or more")
        if not self._count:
            raise RuntimeError("Donor has to be fitted before it can draw")
        if not len(left):
            return left.new_empty(n, *left.shape)
        k = int(self.value)
        nearest = torch.from_numpy(
            self._index.kneighbors(flat_rows(left), k, return_distance=False)
        )
        chosen = torch.randint(k, (n, len(left)), generator=generator)
        donors = nearest[torch.arange(len(left)), chosen]
        drawn = torch.from_numpy(self._right)[donors]
        return drawn.reshape(n, len(left), *HALF_SHAPE).to(left)
