"""The report stands alone: no request to elsewhere, figures in words too, ids that never collide."""

from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser

import matplotlib as mpl
import pytest

from axonal.errors import InputError
from axonal.lab import Claim, Greater, Within, run_study
from axonal.lab.inline import inline_svg
from axonal.lab.report import rerun_command, write_report
from axonal.lab.runner import begin

mpl.use("Agg")
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Elements, ids and references of a page; fails on one that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def draw(colour):
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots()
    axes.plot([0, 1], color=colour, clip_on=True)
    axes.imshow(np.eye(3))
    return figure


@pytest.fixture
def run(make_study, tmp_path):
    def measure(config, session):
        session.measure("a", [1.0, 1.1, 0.9], "mV")
        session.measure("s", [1.0, 3.0, 2.0], along=[0, 1, 2], along_name="layer", exact=True)
        session.figure("first", draw("red"), caption="A <b>line</b> & a matrix.", alt="It rises.")
        session.figure("second", draw("blue"), caption="Another.", alt="It also rises.")
        session.note("Simulated, so <script>alert(1)</script> says nothing of tissue.")

    study = make_study(
        measure,
        claims=[
            Claim("positive", "a exceeds 0 & holds", "p < 0.01", "abstract", Greater("a", 0)),
            Claim("big", "a is big", "5 mV", "figure 2", Within("a", 4, 6)),
            Claim("at-scale", "It holds at scale", "yes", "table 1", Greater("a", 0), needs="full"),
        ],
    )
    return run_study(study, "smoke", {"shift": 2.0}, home=tmp_path, seed=3)


@pytest.fixture
def page(run) -> Page:
    return Page(run.report.read_text())


def test_the_page_asks_nothing_of_the_network(run, page):
    loaded = [
        attributes[name]
        for tag, attributes in page.tags
        for name in ("src", "href", "xlink:href")
        if name in attributes and tag != "a"
    ]
    assert all(link.startswith(("#", "data:")) for link in loaded)
    text = run.report.read_text()
    assert "@import" not in text
    assert "<script" not in text
    assert "<link" not in text


def test_every_id_is_unique_and_every_reference_finds_its_own(run, page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    text = run.report.read_text()
    for reference in re.findall(r'(?:href="#|url\(#)([^")]+)', text):
        assert reference in ids
    for references in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert set(references.split()) <= set(ids)


def test_every_figure_is_said_in_words(page, run):
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert [drawing["role"] for drawing in drawings] == ["img", "img"]
    assert "It rises." in page.text
    assert "It also rises." in page.text
    assert "Another." in page.text


def test_a_verdict_speaks_of_the_run_at_its_scale(page):
    assert "supported at smoke scale (shift = 2.0), on 8 simulated repeats" in page.text
    assert "not supported at smoke scale (shift = 2.0)" in page.text
    assert "not tested at smoke scale (shift = 2.0)" in page.text
    assert "speaks of this run at its scale, not of the paper" in page.text


def test_what_a_study_says_is_text_and_never_markup(run, page):
    text = run.report.read_text()
    assert "<script>alert" not in text
    assert "a exceeds 0 &amp; holds" in text
    assert "<b>line</b>" not in text


def test_measurements_configuration_environment_and_notes_are_there(page):
    for words in ("1 [", "layer", "independent repeats", "changed", "numpy", "seed 3"):
        assert words in page.text
    assert "Simulated normal values." in page.text
    assert "says nothing of tissue" in page.text


def test_the_page_fits_a_phone_the_dark_and_paper(run, page):
    text = run.report.read_text()
    assert ("viewport", "width=device-width, initial-scale=1") in [
        (attributes.get("name"), attributes.get("content")) for _, attributes in page.tags
    ]
    for rule in ("prefers-color-scheme: dark", "@media print", "@media (max-width"):
        assert rule in text


def test_the_command_runs_the_same_again(run):
    command = "axonal run two-means --preset smoke --seed 3 --set shift=2.0"
    assert shlex.split(rerun_command(run)) == shlex.split(command)


def test_a_report_can_be_made_again_from_the_folder_alone(run):
    first = run.report.read_text()
    run.report.unlink()
    assert write_report(run).read_text() == first


def test_an_unfinished_run_has_no_report(study, tmp_path):
    with pytest.raises(InputError, match="axonal resume"):
        write_report(begin(study, "smoke", home=tmp_path))


def test_a_drawing_keeps_references_to_what_is_elsewhere():
    svg = '<?xml?><svg width="72pt" height="36pt" viewBox="0 0 72 36"><g id="a"/><use href="#b"/></svg>'
    inlined = inline_svg(svg, "n", 'x < "y"')
    assert 'id="figure-n-a"' in inlined
    assert 'href="#b"' in inlined
    assert "--width: 96px" in inlined
    assert "x &lt; &quot;y&quot;" in inlined
    assert 'width="72pt"' not in inlined
