"""All that the report reads: the run that it shows, and what is published."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Dataset, load
from ..files import read_json
from ..runs import Run, find_run
from ..runs.published import published_runs
from ..runs.record import Record, decode, read_results, results_path
from ..variants import STUDIES
from .published import PUBLISHED, published
from .summaries import Summaries, summarise_variants


@dataclass(frozen=True)
class Evidence:
    """A finished run with its images, and every published result; what is not there is None."""

    run: Run
    dataset: Dataset
    study: Summaries  # of the seed's network
    beyond: Summaries  # of ours
    records: tuple[Record, ...]  # of both
    analyses: Mapping[str, Mapping[str, Any] | None]
    networks: Mapping[str, Run]  # the published ones
    seed_curve: Mapping[str, Any] | None  # read off the seed's figure

    def __getitem__(self, name: str) -> Any:
        return self.analyses[name]

    def share_above(self, variant: str, other: str) -> float:
        """Return how far a variant's mean test error is above another's; NaN before both are."""
        both = [self.study[name] for name in (variant, other)]
        means = [summary.mean("test_mse") if summary.count else math.nan for summary in both]
        return means[0] / means[1] - 1

    def predictions(self) -> dict[str, np.ndarray]:
        """Return what networks make of the first test image of each class: (10, 28, 14) each."""
        point = self["generative"]["examples"]["point"]
        return {
            "the seed’s\npublic code": decode(self["erratum"]["completions"]),
            "the network\nof its text": decode(point["default"]),
            "U-Net": decode(point["unet"]),
        }


def evidence(run_id: str) -> Evidence:
    """Gather what is told of the run ``run_id``, and all published results."""
    run = find_run(run_id)
    found = {name: read_results(results_path(name)) for name in STUDIES}
    summaries = [summarise_variants(records.values(), name) for name, records in found.items()]
    return Evidence(
        run,
        load(run.config.data),
        *summaries,
        tuple(record for records in found.values() for record in records.values()),
        {name: published(name) for name in PUBLISHED},
        published_runs(),
        read_json(curve) if (curve := results_path("seed-curve")).is_file() else None,
    )
