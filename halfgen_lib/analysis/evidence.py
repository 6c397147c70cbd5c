"""All that the report reads: the run that it shows, and what is published."""

import math
from typing import Any

import numpy as np

from ..data import load
from ..files import read_json
from ..runs import Run, find_run
from ..runs.published import published_runs
from ..runs.record import decode, read_results, results_path
from ..variants import STUDIES
from .published import PUBLISHED, published
from .summaries import summarise_variants


class Evidence:
    """A finished run with its images, and every published result; what is not there is None."""

    def __init__(self, run: Run):
        found = {name: read_results(results_path(name)) for name in STUDIES}
        summaries = (summarise_variants(records.values(), name) for name, records in found.items())
        curve = results_path("seed-curve")
        self.run, self.dataset = run, load(run.config.data)
        self.study, self.beyond = summaries  # of the seed's network, and of ours
        self.records = tuple(record for records in found.values() for record in records.values())
        self.analyses = {name: published(name) for name in PUBLISHED}
        self.networks = published_runs()
        self.seed_curve = read_json(curve) if curve.is_file() else None  # read off its figure

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
    return Evidence(find_run(run_id))
