"""What readers meet is called by its name for readers, everywhere but in the table of names."""

import re

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from halfgen_lib.analysis.published import published
from halfgen_lib.analysis.summaries import summarise_variants, table_rows
from halfgen_lib.config import RunConfig
from halfgen_lib.figures import tables
from halfgen_lib.files import project_root
from halfgen_lib.runs.record import read_results, results_path
from halfgen_lib.variants import FACTORS, GROUPS, NAMES, STUDIES, VARIANTS

# of variants, those that are no words of a reader's: `flow` may be meant as one
CODE_NAMES = [name for name in VARIANTS if re.search(r"[-_\d]", name) or name == "unet"]
CODE_NAMES = [name for name in CODE_NAMES if name != NAMES[name]]


def code_names(text, table=""):
    """Return the code names in a text, but for those in the ``table`` of names, a part of it."""
    text = text.replace(table, "") if table else text
    return [n for n in CODE_NAMES if re.search(rf"(?<![\w./-]){re.escape(n)}(?![\w-])", text)]


def test_every_variant_has_one_name_of_its_own():
    assert list(NAMES) == list(dict.fromkeys(NAMES)) and set(NAMES) == set(VARIANTS)
    assert len(set(NAMES.values())) == len(NAMES)


def test_every_factor_is_in_a_group_but_the_one_that_changes_nothing():
    named = [factor for group in GROUPS.values() for factor in group]
    assert sorted([*named, "epochs"]) == sorted(FACTORS)


def test_what_the_groups_say_of_the_default_is_so():
    settings = RunConfig()
    network = settings.identity()["model_settings"]
    said = {factor: usual for group in GROUPS.values() for factor, usual in group.items()}
    assert said["depth"] == f"{len(network['features'])} convolutions"
    assert said["features"] == f"{'-'.join(map(str, network['features']))} features"
    assert said["latent"] == f"latent code of {network['latent_dim']}"
    assert said["learning_rate"] == f"learning rate {settings.learning_rate:g}"
    assert said["optimizer"].lower() == settings.optimizer
    assert said["precision"] == settings.precision
    assert settings.loss == "mse" and said["loss"] == "squared error"
    assert not settings.flip and 0 < network["negative_slope"] < 1


@pytest.mark.parametrize("name", [n for n in VARIANTS if re.search(r"\d", NAMES[n])])
def test_numbers_in_a_name_are_those_of_its_settings(name):
    settings = RunConfig.of_variant(name).identity()
    told = re.findall(r"\d+(?:\.\d+)?", NAMES[name].replace(",", ""))
    known = {float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", str(settings))}
    known.add(len(settings["model_settings"].get("features", ())))
    assert set(map(float, told)) <= known


def test_a_code_name_is_found_and_a_word_is_not():
    text = "The unet-wide-member, `lr-3e-4` and as_published; a flow and a U-Net, long in use."
    assert code_names(text) == ["as_published", "lr-3e-4", "unet-wide-member"]
    assert code_names(text, "unet-wide-member, `lr-3e-4` and as_published") == []
    assert code_names("runs/unet-wide-seed0, unet-widening") == []


def test_the_table_of_names_has_them_all():
    rows = tables.name_rows()
    assert [row["name"] for row in rows] == [NAMES[name] for name in VARIANTS]
    assert set(code_names(str(rows))) == set(CODE_NAMES)


@pytest.mark.parametrize("study", STUDIES)
def test_tables_of_the_study_hold_no_code_name(study):
    found = summarise_variants(read_results(results_path(study)).values(), study)
    assert code_names(str(table_rows(found))) == []


def test_tables_of_the_analyses_hold_no_code_name():
    generative, baselines = published("generative"), published("baselines")
    facing, groups = published("facing"), published("ensembles")["groups"]
    rows = [
        tables.sampling_rows(generative),
        tables.ensemble_rows(groups),
        tables.ensemble_finding(groups),
        tables.floor_rows(groups),
        tables.baseline_rows(baselines),
        tables.facing_rows(facing),
    ]
    assert code_names(str(rows)) == []


def test_the_published_paper_holds_no_code_name_but_in_its_table():
    folder = project_root() / "report" / "published"
    pages = PdfReader(folder / "halfgen-report.pdf").pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    start, end = text.index("What the names of this study are"), text.index("Where and when the")
    assert code_names(text[:start] + text[end:]) == []
    page = BeautifulSoup((folder / "halfgen-report.html").read_bytes(), "html.parser")
    for unread in page.select("details.code, script, style"):
        unread.decompose()
    page.find(id="tbl-names").decompose()
    assert code_names(page.get_text(" ")) == []
