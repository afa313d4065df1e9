"""The report in a real browser: it fits a phone, its figures are there, and it prints. Needs Debian's chromium.

Root, because it is installed where it is missing. No lab is built or touched.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockade.drill.report.page import page

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import report_world

pytestmark = pytest.mark.lab

MEASURE = """<script>
for (const each of document.querySelectorAll("details")) each.open = OPEN;
const wide = [...document.querySelectorAll("body *")].filter(each => !each.closest(".wide, svg, .cards thead"))
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
const flat = [...document.querySelectorAll("svg")].filter(each => OPEN || !each.closest("details:not([open])"))
  .map(each => each.getBoundingClientRect()).filter(each => each.width < 10 || each.height < 10);
document.title = JSON.stringify({width: document.documentElement.clientWidth,
  scroll: document.documentElement.scrollWidth, wide: wide.slice(0, 5).map(each => each.outerHTML.slice(0, 120)),
  flat: flat.length, figures: document.querySelectorAll("svg").length});
</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    if not shutil.which("chromium"):
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
        subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True, timeout=300)
        subprocess.run(install, check=True, capture_output=True, timeout=900)
    return shutil.which("chromium") or "chromium"


@pytest.fixture(scope="module")
def html() -> str:
    return page(report_world.everything())


@pytest.fixture
def run(chromium: str, tmp_path: Path) -> Iterator[object]:
    def browse(*options: str) -> str:
        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--user-data-dir={tmp_path}/profile", *options]  # fmt: skip
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout

    yield browse
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


@pytest.mark.parametrize("opened", [False, True], ids=["as it opens", "all unfolded"])
@pytest.mark.parametrize("width", [360, 820, 1280])
def test_fits(run, html: str, tmp_path: Path, width: int, opened: bool) -> None:  # noqa: FBT001
    script = MEASURE.replace("OPEN", str(opened).lower())
    # Headless windows have a least width above a phone's, so that the page is measured in a frame of its own.
    inner, outer = tmp_path / "inner.html", tmp_path / "outer.html"
    inner.write_text(html.replace("</body>", f"{script}</body>"))
    outer.write_text(
        f'<body><iframe src="inner.html" width="{width}" height="800" style="border:0" '
        'onload="document.title = this.contentDocument.title"></iframe>'
    )
    text = run("--allow-file-access-from-files", f"--window-size={width + 100},900", "--dump-dom", f"file://{outer}")
    found = json.loads(re.search(r"<title>(.*?)</title>", text, re.DOTALL)[1].replace("&lt;", "<").replace("&gt;", ">")
                       .replace("&amp;", "&"))  # fmt: skip
    assert found["width"] == width
    assert not found["wide"]
    assert found["scroll"] <= width
    assert found["figures"] > 100
    assert found["flat"] == 0


def test_prints(run, html: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(html)
    run("--no-pdf-header-footer", f"--print-to-pdf={tmp_path}/report.pdf", f"file://{tmp_path}/report.html")
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 5
