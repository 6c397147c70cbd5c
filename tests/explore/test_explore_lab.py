"""Notebooks as a person uses them: JupyterLab is started and a browser opens 08, and 06."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from conftest import SMALL

from halfgen_lib.files import project_root
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit

ROOT = project_root()
NOTEBOOK = "08_explore.ipynb"
TABLES = "06_variants.ipynb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 120  # seconds for one step: a machine may be busy
FOLDERS = (
    "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
    "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
)  # fmt: skip


@pytest.fixture(scope="module")
def screenshots():
    """The folder of the screenshots, which continuous integration keeps."""
    folder = ROOT / "report" / "build" / "screenshots"
    folder = Path(os.environ.get("HALFGEN_SCREENSHOTS") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def jupyter_lab(folder, environment):
    """Run JupyterLab on ``folder``'s notebooks, its own files beside them; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), folder / "lab.log"
    own = {name: str(folder / name.lower()) for name in FOLDERS}
    quiet = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings = Path(own["JUPYTERLAB_SETTINGS_DIR"]) / quiet
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false", "checkForUpdates": false}')  # no network
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    with log.open("w") as output:
        server = subprocess.Popen(
            command, env=os.environ | own | environment, stdout=output, stderr=output
        )
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/api?token={token}", server, log)
        yield f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}?token={token}"
    finally:
        server.send_signal(signal.SIGTERM)  # it ends its kernels
        server.wait(PATIENCE)


def wait_for_answer(address, server, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
    raise TimeoutError(f"JupyterLab does not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def address(tiny_config, sample, tmp_path_factory):
    """A JupyterLab with notebook 08, asked for the sample, and two tiny published networks."""
    if not CHROMIUM:
        pytest.skip(
            "NO CHROMIUM ON THIS MACHINE: notebook 08 was not tried in a browser; apt has it"
        )
    folder = tmp_path_factory.mktemp("lab")
    for name in ("cae", "cvae"):
        config = tiny_config(epochs=1, model=name, model_settings=SMALL[name])
        run = fit(config, sample, runs_dir=folder / "trained", quiet=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HALFGEN_NETWORKS", str(folder / "networks"))
            publish_run(run, name, sample)
    notebook = nbformat.read(ROOT / "notebooks" / NOTEBOOK, 4)
    parameters = notebook.cells[1]
    parameters.source = parameters.source.replace('data: str = "full"', 'data: str = "sample"')
    assert "parameters" in parameters.metadata.tags and '"sample"' in parameters.source
    (folder / "notebooks").mkdir()
    nbformat.write(notebook, folder / "notebooks" / NOTEBOOK)
    shutil.copy(ROOT / "notebooks" / TABLES, folder / "notebooks")
    environment = {"HALFGEN_NETWORKS": folder / "networks", "HALFGEN_RUNS": folder / "runs"}
    with jupyter_lab(folder, {name: str(path) for name, path in environment.items()}) as address:
        yield address


def run_all_cells(page, address):
    """Open a notebook and have JupyterLab run it."""
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(address)
    page.get_by_text("| Idle").wait_for()  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


@pytest.fixture(scope="module")
def page(address):
    """The notebook in the browser, all of its cells run; no request may leave this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright: pip install it")
    foreign = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 2800})
        local = re.compile(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:")
        page.on("request", lambda r: local.match(r.url) or foreign.append(r.url))
        run_all_cells(page, address)
        page.locator(".try-results canvas").first.wait_for()  # the last cell's
        page.get_by_text("| Idle").wait_for()
        yield page
        browser.close()
    assert foreign == []


def explorer(page):
    """Return the output of the cell that makes the explorer."""
    cell = page.locator(".jp-CodeCell").filter(has_text="Explorer(load")
    return cell.locator(".jp-Cell-outputWrapper")


def pictures(place):
    """Return what is shown: the description and the pixels of each picture."""
    images = place.locator("img, .try-stage figure:not([hidden]) canvas")
    seen = "[picture.alt ?? picture.ariaLabel, picture.src ?? picture.toDataURL()]"
    return images.filter(visible=True).evaluate_all(f"all => all.map(picture => {seen})")


def changes(page, place, act):
    """Do something, wait until other pictures are shown, and return them."""
    before = pictures(place)
    act()
    end = time.monotonic() + PATIENCE
    while pictures(place) == before:
        assert time.monotonic() < end, "the picture has not changed"
        page.wait_for_timeout(50)
    page.wait_for_timeout(200)
    return pictures(place)


@pytest.fixture(autouse=True)
def no_error_is_shown(request):
    """No cell has an error, before and after what a test does."""
    yield
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
        assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
        assert page.get_by_text("Error displaying widget").count() == 0
        assert page.get_by_role("alert").count() == 0


def test_the_shown_picture_follows_every_control(page, screenshots):
    place = explorer(page)
    page.screenshot(path=screenshots / "explore-opened.png")
    assert len(pictures(place)) == 3  # given, completed, true
    assert not place.get_by_label("draws").is_visible()  # it would do nothing
    changes(page, place, lambda: place.get_by_label("class").select_option("Ankle boot"))
    assert "Ankle boot, test image" in place.locator(".try-draw small").inner_text()
    changes(page, place, lambda: place.locator(".try-images label").nth(3).click())
    changes(page, place, place.get_by_role("button", name="worst").click)
    number = place.get_by_label("from test image", exact=True)

    def count_from():
        number.fill("7")
        number.press("Enter")

    changes(page, place, count_from)
    assert place.locator(".try-draw small").inner_text().endswith("test image 7")
    drawn = changes(
        page, place, lambda: place.get_by_label("network", exact=True).select_option("cvae")
    )
    assert len(drawn) == 3 + 4

    def ask_for_six():
        place.get_by_label("draws").fill("6")
        place.get_by_label("draws").press("Enter")

    more = changes(page, place, ask_for_six)
    assert len(more) == 3 + 6
    again = changes(page, place, place.get_by_role("button", name="draw again").click)
    assert again[:2] == more[:2]
    assert not {source for _, source in again[2:8]} & {source for _, source in more[2:8]}
    changes(page, place, place.get_by_role("button", name="Mirror").click)
    assert place.locator(".try-draw small").inner_text().endswith("test image 7, mirrored")
    compared = changes(page, place, place.get_by_label("compare all networks").check)
    assert len(compared) == 4 and place.locator(".try-error").count() == 2
    place.screenshot(path=screenshots / "explore-compare.png")
    changes(page, place, place.get_by_label("compare all networks").uncheck)


def test_drawing_and_completion_stand_side_by_side_at_one_scale(page):
    boxes = explorer(page).locator(".try-stage canvas")
    drawn, completed = (boxes.nth(i).bounding_box() for i in (0, 1))
    assert completed["width"] >= 280 and drawn["height"] == completed["height"]
    assert 2 * drawn["width"] == completed["width"] and drawn["y"] == completed["y"]


def test_it_works_with_the_keyboard_alone(page, screenshots):
    place = explorer(page)
    cells = page.locator(".jp-Cell").count()
    place.get_by_label("class").focus()
    changes(page, place, lambda: page.keyboard.press("ArrowUp"))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText.trim()") == "at random"
    changes(page, place, lambda: page.keyboard.press("Space"))
    place.locator(".try-images input:checked").focus()
    changes(page, place, lambda: page.keyboard.press("ArrowRight"))
    place.locator(".try-draw canvas").focus()
    for key in ("ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    said = place.locator(".try-hidden")
    assert "row 16, column 7" in said.inner_text()
    changes(page, place, lambda: page.keyboard.press("Space"))
    assert said.inner_text().endswith("brightness 80%")
    changes(page, place, lambda: page.keyboard.press("x"))
    assert page.locator(".jp-Cell").count() == cells  # x would have cut one
    place.screenshot(path=screenshots / "explore-drawing.png")


def test_every_control_has_a_name_and_every_picture_a_text(page):
    """By the accessibility tree, which is what a screen reader is told."""
    tree = explorer(page).aria_snapshot()
    roles = "combobox|spinbutton|slider|button|checkbox|application|img"
    controls = re.findall(rf"- (?:{roles})\b.*", tree)
    assert len(controls) >= 4
    for control in controls:
        assert re.search(r'- \w+ "[^"]{4,}"', control), control


def test_an_uploaded_picture_is_put_on_the_drawing(page, screenshots):
    place = explorer(page)
    picture = ROOT / "docs" / "completions.png"
    place.get_by_label("network", exact=True).select_option("autoencoder")  # draws nothing
    page.get_by_text("| Idle").wait_for()

    def choose():
        with page.expect_file_chooser() as chooser:
            place.get_by_role("button", name="a picture of yours").click()
        chooser.value.set_files(picture)

    assert len(changes(page, place, choose)) == 2
    assert place.locator(".try-draw small").inner_text() == "your drawing"
    assert "scaled it from" in place.locator(".try-notes").inner_text().lower()
    place.screenshot(path=screenshots / "explore-upload.png")


def test_a_pointer_draws(page):
    place = explorer(page)
    place.locator(".try-images label").nth(0).click()
    changes(page, place, place.get_by_role("button", name="Clear").click)
    box = place.locator(".try-draw canvas").bounding_box()

    def stroke():
        page.mouse.move(box["x"] + 60, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + 200)
        page.mouse.up()

    changes(page, place, stroke)
    changes(page, place, place.get_by_role("button", name="Undo").click)


def test_the_table_of_variants_sorts(page, address, screenshots):
    """Notebook 06, of the published results: by a click, by a key, and back."""
    own = page.context.browser.new_page(viewport={"width": 1280, "height": 6000})
    # in a workspace of its own, for the usual one would open notebook 08 beside it
    place = address.replace("/lab/", "/lab/workspaces/tables/").replace(NOTEBOOK, TABLES)
    run_all_cells(own, place)
    tables = own.locator(".jp-OutputArea-output table")
    table = tables.filter(has_text="validation MSE").first  # of the seed's network
    head = table.get_by_role("columnheader", name="parameters")

    def parameters():
        cells = table.locator("tbody td:nth-child(5)").all_inner_texts()
        return [int(text.replace(",", "")) for text in cells]

    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    ascending = parameters()
    assert len(set(ascending)) > 3 and ascending == sorted(ascending)
    head.get_by_role("button").press("Enter")
    assert own.evaluate("document.activeElement.innerText") == "parameters"
    assert parameters() == ascending[::-1] != ascending
    table.screenshot(path=screenshots / "variants-sorted.png")
    head.get_by_role("button").press("Space")
    assert head.get_attribute("aria-sort") == "none"
    errors = [text.split()[0] for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]
    assert errors == sorted(errors)
    assert own.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    own.close()
