"""What simple predictors reach: the yardsticks that a network has to beat."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

from .. import extra
from ..data import Images
from ..evaluation import mse_per_image
from ..models.base import HALF_SHAPE, check_left
from .distances import flat_rows, neighbours

with extra("study"):
    from threadpoolctl import threadpool_limits

# Matrices of 784 rows gain little from threads, and lose tenfold where other processes are busy.
single_threaded = threadpool_limits.wrap(limits=1, user_api="blas")


class Baseline:
    """A predictor of right halves from left halves, fitted in closed form.

    To two or more training halves, (N, 1, 28, 14) in [0, 1] each. Its ``hyperparameter``, if any,
    is chosen from the ascending ``grid``. ``value`` is the one in use: as given, else the lowest
    until :meth:`choose`; ``validation_mse`` has the error of each value tried. A baseline without a
    hyperparameter has the one value None.
    """

    title: ClassVar[str]
    hyperparameter: ClassVar[str] = ""
    grid: Sequence[float | None] = (None,)

    def __init__(self, left: Tensor, right: Tensor, value: float | None = None):
        self._left, self._right = flat_rows(left), flat_rows(right)
        self._prepare()
        self.value = self.grid[0] if value is None else value
        self.validation_mse: dict[float | None, float] = {}

    def choose(self, left: Tensor, right: Tensor) -> Self:
        """Use the value that errs least on validation halves, first of equals; return itself."""
        completed = self._complete(left, self.grid)
        errors = [mse_per_image(half, right).double().mean().item() for half in completed]
        self.validation_mse = dict(zip(self.grid, errors, strict=True))
        self.value = min(self.validation_mse, key=self.validation_mse.__getitem__)
        return self

    def predict(self, left: Tensor) -> Tensor:
        """Complete left halves as :meth:`models.base.Completer.predict`."""
        return next(self._complete(left, [self.value]))

    def _complete(self, left: Tensor, values: Sequence[float | None]) -> Iterator[Tensor]:
        """Yield, for each value, the completed halves."""
        check_left(left)
        for rows in self._predict(flat_rows(left), values):
            yield torch.from_numpy(rows.clip(0, 1)).reshape(left.shape).to(left)

    def as_dict(self) -> dict[str, Any]:
        """Return what was chosen and from what, ready for JSON."""
        tried = [{"value": v, "mse": mse} for v, mse in self.validation_mse.items()]
        about = {"title": self.title, "hyperparameter": self.hyperparameter}
        return about | {"value": self.value, "validation": tried}

    def _prepare(self) -> None:
        """Compute from the flat halves (N, 392) what serves every value."""

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        """Yield, for each value, (N, 392) for flat left halves (N, 392); need not be clipped."""


class TrainMean(Baseline):
    """The mean right half of the training images, whatever the left half is."""

    title = "train mean"

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        yield np.tile(self._right.mean(0, dtype=np.float64), (len(left), 1))


class Mirror(Baseline):
    """The left half, mirrored: right for every symmetric image."""

    title = "mirror"

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        yield left.reshape(-1, *HALF_SHAPE)[..., ::-1].reshape(left.shape)


class NearestNeighbours(Baseline):
    """The mean right half of the k training images with the nearest left halves (Euclidean)."""

    title = "k nearest"
    hyperparameter = "k"
    grid = (1, 3, 5, 10, 20, 50)

    def _prepare(self) -> None:
        self.grid = sorted({min(k, len(self._left)) for k in type(self).grid})

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        # One search, nearest first, serves every k: the search is all of the cost.
        _, nearest = neighbours(left, self._left, max(values))
        for k in values:
            yield sum(self._right[column] for column in nearest[:, :k].T) / k


class Donor(NearestNeighbours):
    """Draw the right half of one of the k training images with the nearest left halves.

    Hot-deck imputation (Andridge and Little 2010): every draw is the copy of a real right half, so
    its pixels fit each other, whether or not they fit the left half.
    """

    title = "donor"

    def sample(self, left: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw as a network does, :meth:`models.base.Sampler.sample`: each of the k as likely."""
        check_left(left)
        if n < 1:
            raise ValueError(f"n is {n}, allowed: 1 or more")
        _, nearest = neighbours(flat_rows(left), self._left, self.value)
        chosen = torch.randint(self.value, (n, len(left)), generator=generator).numpy()
        drawn = self._right[nearest[np.arange(len(left)), chosen]]
        return torch.from_numpy(drawn).reshape(n, *left.shape).to(left)


class Ridge(Baseline):
    """The affine map B that minimises |Y - X B|² + λ |B|² of centred halves X, Y.

    Hoerl and Kennard (1970): B = (XᵀX + λI)⁻¹ XᵀY. The products of the halves serve every λ.
    """

    title = "ridge"
    hyperparameter = "λ"
    grid = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # on the sum over training images

    @single_threaded
    def _prepare(self) -> None:
        both = self._left, self._right
        self._known, self._unknown = (half.mean(0, dtype=np.float64) for half in both)
        x, y = self._left - self._known, self._right - self._unknown
        self._xx, self._xy = x.T @ x, x.T @ y

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        for value in values:
            yield (left - self._known) @ self.coefficients(value).T + self._unknown

    @single_threaded
    def coefficients(self, value: float) -> np.ndarray:
        """Return Bᵀ (392, 392)."""
        penalised = self._xx + value * np.eye(len(self._xx))
        return linalg.solve(penalised, self._xy, assume_a="pos").T


class LowRankRidge(Ridge):
    """The affine map of rank at most r that minimises |Y - X B|² + λ |B|².

    The ridge solution B is projected on the leading r principal directions V of its fitted training
    outputs, the penalty counted in: the leading eigenvectors of Bᵀ(XᵀX + λI)B = BᵀXᵀY. The map is
    B V Vᵀ (Mukherjee and Zhu 2011, reduced rank ridge regression).
    """

    rank = 64  # the seed's latent dimension: no affine map through it has a higher rank
    title = f"rank-{rank} ridge"

    @single_threaded
    def coefficients(self, value: float) -> np.ndarray:
        """Return V Vᵀ Bᵀ (392, 392)."""
        whole = super().coefficients(value)
        energy = whole @ self._xy
        _, directions = np.linalg.eigh((energy + energy.T) / 2)  # eigenvalues ascend
        leading = directions[:, -self.rank :]
        return leading @ (leading.T @ whole)


# In the order of every table and figure.
BASELINES: dict[str, type[Baseline]] = {
    "train_mean": TrainMean,
    "mirror": Mirror,
    "nearest": NearestNeighbours,
    "ridge": Ridge,
    "low_rank": LowRankRidge,
}


def fit_baselines(train: Images, validation: Images, given: str = "left") -> dict[str, Baseline]:
    """Return every baseline of ``BASELINES``, fitted on ``train`` and chosen on ``validation``."""
    fitted, chosen = (part.halves(given) for part in (train, validation))
    return {name: kind(*fitted).choose(*chosen) for name, kind in BASELINES.items()}
