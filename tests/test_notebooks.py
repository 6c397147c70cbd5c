"""The notebooks and the report, really run by papermill and rendered, on the sample."""

import ast
import json
import re
import subprocess
import sys

import nbformat
import pypdf
import pytest

from halfgen_lib import notebooks
from halfgen_lib import report as pipeline
from halfgen_lib.files import project_root
from halfgen_lib.runs import find_run

ROOT = project_root()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

REPORT = ROOT / "report" / "report.ipynb"
SAMPLE = ["-p", "data", "sample", "-p", "epochs", "1"]


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Everything that `make report` makes, of one epoch on the sample."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALFGEN_RUNS", str(folder / "runs"))
        pipeline.make_report(SAMPLE, build=folder / "build")
        for path in NOTEBOOKS:
            if path.stem not in pipeline.NOTEBOOKS:
                arguments = SAMPLE[:3] if path.stem == "08_explore" else []  # it shows no run
                pipeline.run_notebook(path, folder / "build" / "notebooks" / path.name, arguments)
        run = find_run()
    return folder / "build", run


@pytest.mark.parametrize("path", [*NOTEBOOKS, REPORT], ids=lambda path: path.stem)
def test_house_style(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in code_cells(path))
    for cell in code_cells(path):
        if "parameters" not in cell.metadata.get("tags", []):
            assert len(cell.source.splitlines()) <= 12, cell.source
        tree = ast.parse(cell.source)
        kinds = (ast.ClassDef, ast.While, ast.AsyncFor)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), cell.source
    if path != REPORT:
        assert 8 <= len(notebook.cells) <= 30
        assert notebook.cells[0].source.startswith("# ")
        assert "**Question.**" in notebook.cells[0].source


@pytest.mark.parametrize("path", [*NOTEBOOKS, REPORT], ids=lambda path: path.stem)
def test_parameters_cell_is_the_schemas(path):
    """Names, types, defaults and comments stand in the notebook as the schema has them."""
    cells = code_cells(path)
    tagged = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [0]
    schema = getattr(
        notebooks, re.search(r"read_parameters\((\w+), globals\(\)\)", cells[2].source)[1]
    )
    specs, lines = schema.model_json_schema()["properties"], cells[0].source.splitlines()
    # as papermill reads a line: it passes over one that it cannot parse
    found = [re.fullmatch(r"(\w+): (\w+) = ([^=]+?)  # ([^=]+)", line).groups() for line in lines]
    assert [name for name, *_ in found] == list(specs)
    for name, kind, default, comment in found:
        spec, default = specs[name], ast.literal_eval(default)
        assert type(default).__name__ == kind and default == spec["default"]
        assert comment == "; ".join(filter(None, (spec["description"], limits_of(spec))))


def limits_of(spec):
    """Return what a parameter's comment says of its limits."""
    if "enum" in spec:
        return "one of " + ", ".join(map(repr, spec["enum"]))
    if {"minimum", "maximum"} <= spec.keys():
        return f"{spec['minimum']} to {spec['maximum']}"
    words = {"minimum": "at least", "exclusiveMinimum": "greater than", "maximum": "at most"}
    words |= {"exclusiveMaximum": "less than", "pattern": "matching"}
    return " and ".join(f"{word} {spec[key]}" for key, word in words.items() if key in spec)


@pytest.mark.parametrize("path", [*NOTEBOOKS, REPORT], ids=lambda path: path.stem)
def test_one_short_cell_imports_before_the_check(path):
    cells = code_cells(path)
    kinds = (ast.Import, ast.ImportFrom)
    found = [any(isinstance(n, kinds) for n in ast.walk(ast.parse(c.source))) for c in cells]
    assert [i for i, imports in enumerate(found) if imports] == [1]
    assert len(cells[1].source.splitlines()) <= 6


@pytest.mark.parametrize("path", [*NOTEBOOKS, REPORT], ids=lambda path: path.stem)
def test_every_figure_stands_between_its_question_and_its_finding(path):
    """Markdown asks before a figure's cell, and computed prose answers after it."""
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type != "raw"]
    for i, cell in enumerate(cells):
        if cell.cell_type == "code" and "show_figure(" in cell.source:
            before = [c for c in cells[max(0, i - 3) : i] if c.cell_type == "markdown"]
            after = cells[i : i + 4]
            asked = before or any("show_markdown" in c.source for c in cells[i - 2 : i])
            assert asked, cell.source
            assert any("show_markdown" in c.source or c.cell_type == "markdown" for c in after)


def test_no_number_is_typed_into_the_reports_prose():
    """Measured numbers are read from a run; prose may name shapes, constants and definitions."""
    formula = r"\$\$.*?\$\$|\$.*?\$"
    constants = ("28 × 28", "left 14", "right 14", "0[.]01", "2023", "392", "95%", "13 and 14")
    defined = (r"<!--.*?-->", r"!\[\]\(.*?\)", formula, r"@[\w-]+", *constants)
    for cell in nbformat.read(REPORT, 4).cells:
        if cell.cell_type == "markdown":
            text = re.sub("|".join(defined), "", cell.source, flags=re.S)
            assert not re.search(r"\d", text), text


def test_all_notebooks_run_on_the_sample(rendered):
    build, run = rendered
    assert run.config.data == "sample" and run.config.epochs == 1
    done = sorted(path.name for path in (build / "notebooks").glob("*.ipynb"))
    assert done == [path.name for path in NOTEBOOKS]
    for name in done:
        text = (build / "notebooks" / name).read_text()
        assert '"output_type": "error"' not in text
        assert "SAMPLE DATA" in text or name.startswith("06")  # which shows published results


def test_what_is_current_is_not_made_again(rendered, tmp_path):
    build, _ = rendered
    source, target = REPORT, tmp_path / "out.ipynb"
    inputs = [tmp_path / "a.json"]
    inputs[0].write_text("1")
    mark = pipeline.fingerprint(source, ["-p"], inputs)
    assert not pipeline.take_back(target, mark)
    target.write_text("made")
    pipeline.set_current(target, mark)
    assert pipeline.take_back(target, pipeline.fingerprint(source, ["-p"], inputs))
    assert target.read_text() == "made"
    inputs[0].write_text("2")
    assert not pipeline.take_back(target, pipeline.fingerprint(source, ["-p"], inputs))
    assert not target.exists()  # it is kept beside its place
    inputs[0].write_text("1")
    assert not pipeline.take_back(target, pipeline.fingerprint(source, ["-y"], inputs))
    assert pipeline.take_back(target, mark)
    target.write_text("made by somebody else")
    assert not pipeline.take_back(target, mark)
    assert (build / ".report.ipynb.stamp").is_file()


def test_without_published_results_the_first_that_needs_them_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HALFGEN_RESULTS", str(tmp_path / "none"))
    with pytest.raises(pipeline.PipelineError, match=r"05_baselines\.ipynb failed"):
        pipeline.run_notebook(ROOT / "notebooks/05_baselines.ipynb", tmp_path / "05.ipynb", [])
    assert "none/baselines.json is not there yet: `halfgen analyse`" in capfd.readouterr().err


def test_the_report_reads_like_prose():
    """It embeds what notebooks draw; ten lines of code at most stand before its first sentence."""
    cells = nbformat.read(REPORT, 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(code) <= len(cells) / 3
    abstract = next(i for i, c in enumerate(cells) if "abstract" in c.metadata.get("tags", ()))
    before = [line for c in cells[:abstract] if c in code for line in c.source.splitlines()]
    assert len(before) <= 10
    embedded = re.findall(
        r"!\[\]\(notebooks/(\w+)\.ipynb#([\w-]+)\)", "".join(c.source for c in cells)
    )
    assert len(embedded) == len({*embedded}) > 30 and {n for n, _ in embedded} <= {
        *pipeline.NOTEBOOKS
    }
    drawn = re.findall(r'"((?:fig|tbl)-\w+)"', "".join(cell.source for cell in code))
    assert {*drawn}.isdisjoint(label for _, label in embedded)


def test_reports_numbers_are_the_runs(rendered):
    build, run = rendered
    text = pdf_text(build)
    mse = run.metrics["overall"]["mse"]
    for number in (mse["mean"], mse["low"], mse["high"], run.history["val_loss"].min()):
        assert f"{number:.4f}" in text
    assert run.run_id in text.replace("\n", "") and run.record["git_commit"][:12] in text


def test_the_abstract_is_short(rendered):
    cells = nbformat.read(rendered[0] / "report.ipynb", 4).cells
    (cell,) = (cell for cell in cells if "abstract" in cell.metadata.get("tags", ()))
    text = cell.outputs[0].data["text/markdown"]
    assert len(text.split()) <= 120 and len(re.findall(r"\d[\d.%]*", text)) <= 5


def pdf_text(build):
    pages = pypdf.PdfReader(build / "halfgen-report.pdf").pages
    return "\n".join(page.extract_text() for page in pages)


def test_pdf_is_whole(rendered):
    text = pdf_text(rendered[0])
    for title in ("Introduction", "Related work", "Methods", "Discussion", "Conclusion"):
        assert re.search(rf"\d\s+{title}", text), title
    text = text.replace("\xa0", " ")
    for part in ("Abstract", "References", "Figure 1", "Table 1", "Equation (3)", "SAMPLE DATA"):
        assert part in text, part
    assert "$" not in text and "??" not in text and "@fig" not in text and "@sec" not in text


def test_html_is_whole_and_needs_no_network(rendered):
    html = (rendered[0] / "halfgen-report.html").read_text(encoding="utf-8")
    prose = re.sub(r"<(script|style|svg|code|pre)\b.*?</\1>", "", html, flags=re.S)
    prose = re.sub(r"<annotation.*?</annotation>|<[^>]*>", "", prose, flags=re.S)
    assert "$" not in prose and "@fig-" not in prose and "SAMPLE DATA" in prose
    loaded = re.findall(r'(?:src|srcset|poster|data)="((?:https?:)?//[^"]+)"', html)
    loaded += re.findall(r'<link[^>]+href="((?:https?:)?//[^"]+)"', html)
    loaded += re.findall(r"url\(['\"]?((?:https?:)?//[^)]+)\)", html)
    assert loaded == []
    targets = set(re.findall(r'\bid="([^"]+)"', html))
    links = set(re.findall(r'href="#([^"]+)"', html))
    assert links - targets == set() and links
    for image in re.findall(r"<img\b[^>]*>", html):
        assert re.search(r'alt="[^"]{10,}"', image), image[:200]


def test_rendering_again_gives_the_same_bytes(rendered, tmp_path):
    build, _ = rendered
    for kind in pipeline.FORMATS:
        again = tmp_path / f"halfgen-report.{kind}"
        pipeline.export(build / "report.ipynb", kind, again)
        assert again.read_bytes() == (build / again.name).read_bytes()


def papermill(notebook, target, *arguments, cwd):
    command = [sys.executable, "-m", "papermill", str(notebook), str(target), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_training_notebook_runs_from_its_folder_and_from_the_root(tmp_path, runs_dir):
    quick = [*SAMPLE, "-y", "model_settings: {features: [4], hidden_dim: 8, latent_dim: 2}"]
    for cwd, source in [(ROOT / "notebooks", "02_train.ipynb"), (ROOT, "notebooks/02_train.ipynb")]:
        result = papermill(source, tmp_path / "out.ipynb", "--log-output", *quick, cwd=cwd)
        assert result.returncode == 0, result.stderr[-2000:]
        trained = re.search(r"^epoch   1/1  train .*; 0 left$", result.stderr, re.MULTILINE)
        assert bool(trained) == (cwd != ROOT)
    assert len(list(runs_dir.glob("cae-*"))) == 1  # the second call used the first one's run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "epoch", "5"], "unknown parameter 'epoch' = 5; did you mean 'epochs'?"),
        (["-y", "model_settings: {latent: 3}"], "model_settings: latent = 3"),
    ],
)
def test_a_bad_parameter_trains_nothing(tmp_path, runs_dir, arguments, message):
    result = papermill("02_train.ipynb", tmp_path / "o.ipynb", *arguments, cwd=ROOT / "notebooks")
    assert result.returncode == 1 and message in result.stderr
    assert not runs_dir.exists()


def test_a_report_of_an_unfinished_run_stops_with_a_message(tmp_path, runs_dir, capfd):
    runs_dir.mkdir(exist_ok=True)
    folder = runs_dir / "cae-x-seed0-0000000000"
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({"state": "running", "pid": 1, "epoch": 3}))
    (runs_dir / "current.json").write_text(json.dumps({"run_id": folder.name}))
    (tmp_path / "report.ipynb").write_text("an older report")
    with pytest.raises(pipeline.PipelineError, match=r"report\.ipynb failed"):
        pipeline.run_notebook(REPORT, tmp_path / "report.ipynb", [])
    assert "is running, not finished" in capfd.readouterr().err
    assert not (tmp_path / "report.ipynb").exists()  # nothing is left that could be mistaken
    assert (tmp_path / "report.earlier.ipynb").read_text() == "an older report"
