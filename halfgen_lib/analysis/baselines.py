"""What simple predictors reach: the yardsticks that a network has to beat.

Each is fitted on training halves, chooses its one hyperparameter (if it has any) from a declared
grid by its error on validation images, and completes images through the same ``predict`` as a
network. Halves are in the canonical pose, pixels in [0, 1]; the error is the mean squared one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn import linear_model
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from torch import Tensor

from ..data import IMAGE_SIZE, Images
from ..evaluation import Interval, Scores, bootstrap, mse_per_image, score_images
from ..models.base import HALF_SHAPE, check_left

PIXELS = IMAGE_SIZE**2
# Matrices of 784 rows gain little from threads, and lose tenfold where other processes are busy.
single_threaded = threadpool_limits.wrap(limits=1, user_api="blas")
RANK = 64  # the seed's latent dimension: no affine map through it has a higher rank


class Baseline(ABC):
    """A predictor of right halves from left halves, fitted in closed form.

    Attributes:
        title: what tables and figures call it.
        hyperparameter: the name of what is chosen on validation; empty if there is nothing.
        grid: the values to choose from, ascending.
        minimum: training images that fitting needs.
        value: the value in use: as given, else the first of the grid until :meth:`choose`; None
            if there is nothing to choose.
        validation_mse: value -> MSE on the validation images; empty before :meth:`choose`.
    """

    title: ClassVar[str]
    hyperparameter: ClassVar[str] = ""
    grid: ClassVar[Sequence[float]] = ()
    minimum: ClassVar[int] = 1

    def __init__(self, value: float | None = None):
        self.value = value
        self.validation_mse: dict[float | None, float] = {}
        self._count = 0  # training images seen

    def fit(self, left: Tensor, right: Tensor) -> Self:
        """Fit to training halves and return itself.

        Args:
            left, right: (N, 1, 28, 14), floating point in [0, 1], N >= ``minimum``.

        Raises:
            TypeError, ValueError: as :func:`~halfgen_lib.models.base.check_left`; or if the two
                differ in shape, are too few, or are too few for ``value``.
        """
        check_left(left)
        if right.shape != left.shape or len(left) < self.minimum:
            raise ValueError(
                f"halves are {tuple(left.shape)} and {tuple(right.shape)};"
                f" equal shapes of {self.minimum} or more images are needed"
            )
        if not bool(((right >= 0) & (right <= 1)).all()):
            raise ValueError("right has values outside [0, 1]")
        limit = self.limit(len(left))
        if self.value is None and self.grid:
            self.value = min(self.grid[0], limit)
        if self.grid and not 0 < self.value <= limit:
            raise ValueError(
                f"{self.hyperparameter} is {self.value}; with {len(left)} training images it must"
                f" be above 0 and at most {limit}"
            )
        self._fit(flat_rows(left), flat_rows(right))
        self._count = len(left)
        return self

    def choose(self, left: Tensor, right: Tensor) -> Self:
        """Use the value of the grid with the lowest error on these validation halves.

        Values above :meth:`limit` are cut to it: few training images narrow the grid. Of equal
        errors the smallest value wins.

        Args:
            left, right: (M, 1, 28, 14), floating point in [0, 1], M >= 1.

        Returns:
            Itself, with ``validation_mse`` of every value tried.

        Raises:
            ValueError: if there are no images, or the two differ in shape.
        """
        if not len(left):
            raise ValueError("no validation images to choose by")
        values = sorted({min(value, self.limit(self._count)) for value in self.grid}) or [None]
        errors = [
            mse_per_image(completed, right).double().mean().item()
            for completed in self._complete(left, values)
        ]
        self.validation_mse = dict(zip(values, errors, strict=True))
        self.value = min(values, key=self.validation_mse.__getitem__)
        return self

    def predict(self, left: Tensor) -> Tensor:
        """Complete left halves.

        Args:
            left: (N, 1, 28, 14), floating point in [0, 1]; N may be 0.

        Returns:
            (N, 1, 28, 14), clipped to [0, 1], of the type and on the device of ``left``.

        Raises:
            RuntimeError: before :meth:`fit`.
            TypeError, ValueError: as :func:`~halfgen_lib.models.base.check_left`.
        """
        return next(self._complete(left, [self.value]))

    def _complete(self, left: Tensor, values: Sequence[float | None]) -> Iterator[Tensor]:
        """Yield, for each value, the completed halves."""
        check_left(left)
        if not self._count:
            raise RuntimeError(f"{type(self).__name__} has to be fitted before it can predict")
        if not len(left):
            yield from (torch.empty_like(left) for _ in values)
            return
        for rows in self._predict(flat_rows(left), values):
            yield torch.from_numpy(rows.clip(0, 1)).reshape(-1, *HALF_SHAPE).to(left)

    def as_dict(self) -> dict[str, Any]:
        """Return what was chosen and from what, ready for JSON."""
        tried = [{"value": v, "mse": mse} for v, mse in self.validation_mse.items()]
        names = {"title": self.title, "hyperparameter": self.hyperparameter}
        return {**names, "value": self.value, "validation": tried}

    @classmethod
    def limit(cls, count: int) -> float:
        """Return the largest value of the hyperparameter that ``count`` training images allow."""
        return np.inf

    @abstractmethod
    def _fit(self, left: np.ndarray, right: np.ndarray) -> None:
        """Fit to flat halves (N, 392), for any value."""

    @abstractmethod
    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        """Yield, for each value, (N, 392) for flat left halves (N, 392); need not be clipped."""


class TrainMean(Baseline):
    """The mean right half of the training images, whatever the left half is."""

    title = "train mean"

    def _fit(self, left: np.ndarray, right: np.ndarray) -> None:
        self._mean = right.mean(0, dtype=np.float64)

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        yield np.tile(self._mean, (len(left), 1))


class Mirror(Baseline):
    """The left half, mirrored: right for every symmetric image."""

    title = "mirror"

    def _fit(self, left: np.ndarray, right: np.ndarray) -> None:
        pass

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        yield left.reshape(-1, *HALF_SHAPE)[..., ::-1].reshape(left.shape)


class NearestNeighbours(Baseline):
    """The mean right half of the k training images with the nearest left halves (Euclidean)."""

    title = "k nearest"
    hyperparameter = "k"
    grid = (1, 3, 5, 10, 20, 50)

    @classmethod
    def limit(cls, count: int) -> int:
        """Return ``count``: there are no more neighbours than training images."""
        return count

    def _fit(self, left: np.ndarray, right: np.ndarray) -> None:
        self._index, self._right = NearestNeighbors(algorithm="brute").fit(left), right

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        # One search, nearest first, serves every k: the search is all of the cost.
        nearest = self._index.kneighbors(left, max(values), return_distance=False)
        for k in values:
            yield sum(self._right[column] for column in nearest[:, :k].T) / k


class Affine(Baseline):
    """An affine map: right = coefficients · left + intercept.

    The maps below depend on the training images through mean and covariance alone, so that one
    principal-component analysis of whole images, left pixels first, serves every value.
    """

    minimum = 2  # images that have a covariance

    @single_threaded
    def _fit(self, left: np.ndarray, right: np.ndarray) -> None:
        images = np.concatenate((left, right), axis=1, dtype=np.float64)
        self._components = PCA(svd_solver="covariance_eigh", copy=False).fit(images)
        self._solved: dict[float, np.ndarray] = {}

    def _predict(self, left: np.ndarray, values: Sequence[float | None]) -> Iterator[np.ndarray]:
        known, unknown = np.split(self._components.mean_, 2)
        for value in values:
            yield (left - known) @ self.coefficients(value).T + unknown

    @single_threaded
    def coefficients(self, value: float) -> np.ndarray:
        """Return the map's matrix (392, 392), a row a pixel of the right half."""
        if value not in self._solved:
            self._solved[value] = self._solve(value)
        return self._solved[value]

    @abstractmethod
    def _solve(self, value: float) -> np.ndarray:
        """Compute :meth:`coefficients`."""

    def _condensed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return at most 784 rows X, Y (M, 392) with the inner products of the centred images.

        Where U S Vᵀ is the images' singular value decomposition these are the rows of S Vᵀ:
        least squares, penalised or not, cannot tell them from the images.
        """
        rows = self._components.singular_values_[:, None] * self._components.components_
        return tuple(np.split(rows, 2, axis=1))


class Ridge(Affine):
    """The affine map B that minimises |Y - X B|² + λ |B|² (Hoerl and Kennard 1970)."""

    title = "ridge"
    hyperparameter = "λ"
    grid = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # on the sum over training images

    def _solve(self, value: float) -> np.ndarray:
        ridge = linear_model.Ridge(alpha=value, fit_intercept=False, solver="cholesky")
        return ridge.fit(*self._condensed()).coef_


class LowRankRidge(Ridge):
    """The affine map of rank at most r that minimises |Y - X B|² + λ |B|².

    The ridge solution B is projected on the leading r principal directions V of its own fitted
    training outputs, the penalty counted in: with X and Y centred these are the leading
    eigenvectors of Bᵀ(XᵀX + λI)B = BᵀXᵀY, and the map is B V Vᵀ (Mukherjee and Zhu 2011, reduced
    rank ridge regression).
    """

    title = f"rank-{RANK} ridge"

    def __init__(self, value: float | None = None, rank: int = RANK):
        super().__init__(value)
        self.rank = rank

    def _solve(self, value: float) -> np.ndarray:
        whole, (x, y) = super()._solve(value), self._condensed()  # whole is Bᵀ
        energy = whole @ (x.T @ y)
        _, directions = np.linalg.eigh((energy + energy.T) / 2)  # eigenvalues ascend
        leading = directions[:, -self.rank :]
        return leading @ (leading.T @ whole)


class PrincipalComponents(Affine):
    """The right half that a principal-component model of whole images expects, given the left.

    Probabilistic PCA (Tipping and Bishop 1999) with q components says that images are Gaussian
    with mean μ and covariance C = W Wᵀ + s I; so right, given left, has the mean
    μ_R + C_RL C_LL⁻¹ (left - μ_L). All components together give least squares.
    """

    title = "PCA"
    hyperparameter = "components"
    grid = (32, 64, 128, 256, 512, PIXELS)

    @classmethod
    def limit(cls, count: int) -> int:
        """Return the rank of ``count`` centred images."""
        return min(count - 1, PIXELS)

    def _solve(self, value: float) -> np.ndarray:
        variance, q = self._components.explained_variance_, int(value)
        noise = variance[q:].sum() / max(PIXELS - q, 1)  # s, the mean of what is left out
        basis = self._components.components_[:q]
        covariance = (basis.T * (variance[:q] - noise)) @ basis + noise * np.eye(PIXELS)
        (known, _), (cross, _) = (np.hsplit(rows, 2) for rows in np.vsplit(covariance, 2))
        # A pseudo-inverse: without noise, pixels that never change leave C_LL singular.
        return cross @ np.linalg.pinv(known, rcond=1e-9, hermitian=True)


# In the order of every table and figure.
BASELINES: dict[str, type[Baseline]] = {
    "train_mean": TrainMean,
    "mirror": Mirror,
    "nearest": NearestNeighbours,
    "ridge": Ridge,
    "low_rank": LowRankRidge,
    "components": PrincipalComponents,
}


def fit_baselines(train: Images, validation: Images, given: str = "left") -> dict[str, Baseline]:
    """Return every baseline of ``BASELINES``, fitted on ``train`` and chosen on ``validation``.

    Args:
        train: 2 images or more.
        validation: 1 image or more.
        given: the known side.
    """
    fitted, chosen = (part.halves(given) for part in (train, validation))
    return {name: kind().fit(*fitted).choose(*chosen) for name, kind in BASELINES.items()}


def score_baselines(
    baselines: Mapping[str, Baseline], images: Images, given: str = "left"
) -> dict[str, Scores]:
    """Return every score of every image for each baseline: :func:`evaluation.score_images`."""
    return {name: score_images(b.predict, images, given) for name, b in baselines.items()}


def paired_difference(a: np.ndarray, b: np.ndarray) -> Interval:
    """Return the mean of ``a - b`` over the same images, with its 95 % bootstrap interval.

    Both scores of an image are drawn together, so that what makes an image hard for either
    method cancels. For errors an interval above 0 says that ``b`` is the better one.

    Args:
        a, b: (N,) a score of each image, in the same order.

    Raises:
        ValueError: if the two differ in shape, or a value is not finite.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"scores of {a.shape} and {b.shape} images cannot be paired")
    return bootstrap(a - b)


def flat_rows(half: Tensor) -> np.ndarray:
    """Return halves (N, 1, 28, 14) as float32 rows (N, 392)."""
    return half.detach().cpu().flatten(1).float().numpy()
