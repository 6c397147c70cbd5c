"""JupyterLab's export menu offers the papers by their names, and makes them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

import halfgen_lib.paper

EXTENSION = Path(halfgen_lib.paper.__file__).parent / "labextension"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def test_the_menus_formats_can_stand_in_an_address():
    names = {point.name for point in entry_points(group="nbconvert.exporters")}
    script = (EXTENSION / "static" / "menu.js").read_text()
    for name in ("halfgen_html", "halfgen_pdf"):
        assert name in names and f'"{name}"' in script


@pytest.fixture
def lab(tmp_path):
    """Return the address of a JupyterLab that has the extension and one notebook, a.ipynb."""
    shutil.copytree(EXTENSION, tmp_path / "share" / "labextensions" / "halfgen")
    (tmp_path / "work").mkdir()
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nb = v4.new_notebook(cells=[v4.new_markdown_cell("# The title\n\nWords.")], metadata=kernel)
    nbformat.write(nb, tmp_path / "work" / "a.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{n}_DIR": str(tmp_path / n) for n in ("CONFIG", "DATA", "RUNTIME")}
    settings = {"token": "", "port": port, "ip": "127.0.0.1", "open_browser": False}
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--LabApp.news_url=None"]
    command += [f"--ServerApp.{key}={value}" for key, value in settings.items()]
    environment = os.environ | own | {"JUPYTER_PATH": str(tmp_path / "share")}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=tmp_path / "work", env=environment, **quiet)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/api/nbconvert") as answer:
                    assert "halfgen_pdf" in json.load(answer)
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def test_papers_are_made_from_the_menu(lab):
    if not CHROMIUM:
        pytest.skip("NO CHROMIUM ON THIS MACHINE: JupyterLab was not tried; apt has it")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright: pip install it")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(accept_downloads=True).new_page()
        page.set_default_timeout(120_000)
        with page.expect_response("**/api/nbconvert*"):  # the menu's entries come with it
            page.goto(f"{lab}/lab/tree/a.ipynb")
        page.get_by_role("heading", name="The title").wait_for()
        entries = page.locator(".lm-Menu-item")
        for name, suffix in (("Paper (HTML)", "html"), ("Paper (PDF)", "pdf")):
            page.get_by_role("menuitem", name="File", exact=True).click()
            entries.filter(has_text="Save and Export Notebook As").click()
            entries.filter(has_text=name).wait_for()
            assert entries.filter(has_text="halfgen").count() == 0
            with page.expect_download() as download:
                entries.filter(has_text=name).click()
            assert download.value.suggested_filename == f"a.{suffix}"
            starts = {"html": b"<!DOCTYPE html>", "pdf": b"%PDF"}[suffix]
            assert Path(download.value.path()).read_bytes().startswith(starts)
        browser.close()
