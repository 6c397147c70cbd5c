"""What each notebook can be asked; 02_train takes a whole :class:`config.RunConfig`."""

from typing import Annotated

from pydantic import Field

from .config import Data, Given, RunConfig
from .settings import Settings

ResultsName = Annotated[
    str, Field(description="a file in report/results, without .json", pattern=r"^[\w.-]+$")
]


class DataParameters(Settings):
    """Of a notebook that looks at the data alone."""

    data: Data = RunConfig.model_fields["data"]
    given: Given = RunConfig.model_fields["given"]


class RunParameters(Settings):
    """Of a notebook that shows a finished run."""

    run_id: str = Field("current", description="a folder in runs/; current: the last one trained")


class StudyParameters(Settings):
    """Of the notebook of the variants."""

    results: ResultsName = "study"


class AnalysisParameters(Settings):
    """Of the notebook of the drawn samples."""

    results: ResultsName = "generative"
