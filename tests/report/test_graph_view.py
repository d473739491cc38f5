"""Pictures of a graph: what stands in them, what is escaped, and that a browser shows them."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from tracediff.autodiff import backward
from tracediff.report import graph_view
from tracediff.report.layout import arrange
from tracediff.testing import RunBuilder, ScriptedEngine

HOSTILE = "</script><script>alert(1)</script>\x1b[31mred"


@pytest.fixture
def graph():
    run = RunBuilder("s1")
    ask = run.prompt("app.ask", "Write a query.")
    first = run.llm("app.query:chat", "q one", messages=[ask, "the question"])
    found = run.call("app.search", ["p1", HOSTILE], kind="retriever", query=first)
    again = run.prompt("app.ask", "Write a query.")
    second = run.llm("app.query:chat", "q two", messages=[again, found])
    answer = run.llm("app.answer:chat", "Paris", messages=[run.prompt("app.reply", "Answer."), found, second])
    return run.graph(answer)


def test_the_tree_names_nodes_parameters_and_edges_and_drives_no_terminal(graph):
    text = graph_view.tree(graph)
    assert "app.query:chat#1  [llm]" in text
    assert "parameter app.reply: Answer." in text
    assert re.search(r"<- app\.search#0 in messages  identity 1\.00", text)
    assert "(result)" in text.split("app.answer:chat#0")[1].splitlines()[0]
    assert "\x1b" not in text


def test_terminal_makes_control_characters_visible():
    assert graph_view.terminal("a\x1b[2J\tb\nc\x07") == "a\\x1b[2J\tb\nc\\x07"


def test_the_svg_has_a_box_for_each_node_and_an_arrow_for_each_edge(graph):
    root = ET.fromstring(graph_view.svg(graph))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [g for g in root.iter(f"{space}g") if g.get("class") == "node"]
    arrows = [p for p in root.iter(f"{space}path") if p.get("class") == "edge"]
    assert len(boxes) == len(graph.nodes)
    assert len(arrows) == len(graph.edges)


def test_gradients_are_shown_only_after_a_backward_pass(graph):
    assert 'class="gradient"' not in graph_view.svg(graph)
    gradients = backward(graph, 0.0, ScriptedEngine())
    assert graph_view.svg(graph, gradients).count('class="gradient"') == len(graph.edges)
    assert "change" in graph_view.page(graph, gradients)


def test_doubtful_edges_are_dashed():
    from dataclasses import replace

    run = RunBuilder()
    run.llm("b", "y", x=run.llm("a", "x"))
    sure = run.graph()
    doubtful = replace(sure, edges=(replace(sure.edges[0], confidence=0.4),))
    assert "stroke-dasharray" not in graph_view.svg(sure).split("</defs>")[1]
    assert "stroke-dasharray" in graph_view.svg(doubtful).split("</defs>")[1]
    assert "style=dashed" in graph_view.dot(doubtful)


def test_the_page_escapes_what_models_wrote_and_loads_nothing(graph):
    page = graph_view.page(graph)
    assert "<script>alert" not in page
    assert not re.search(r"(?:src|href)=|url\((?!#)|@import", page)
    assert "default-src 'none'" in page


def test_dot_is_quoted(graph):
    assert graph_view.dot(graph).count("->") == len(graph.edges)


def test_boxes_of_a_layout_never_overlap():
    sizes = {str(i): (60.0 + i, 30.0) for i in range(12)}
    edges = [(str(i), str(j)) for i in range(12) for j in range(i + 1, 12) if (i * 7 + j) % 4 == 0]
    layout = arrange(sizes, edges)
    placed = [(x, y, x + sizes[k][0], y + sizes[k][1]) for k, (x, y) in layout.boxes.items()]
    for i, a in enumerate(placed):
        assert a[2] <= layout.width
        assert a[3] <= layout.height
        for b in placed[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert layout.boxes[source][1] < layout.boxes[target][1]
        assert [y for _, y in route] == sorted(y for _, y in route)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian package chromium)")
def test_a_browser_opens_the_page_and_a_node(graph, tmp_path):
    path = tmp_path / "run.html"
    path.write_text(graph_view.page(graph, backward(graph, 0.0, ScriptedEngine())), encoding="utf-8")
    node = graph.nodes[-1]
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"{path.as_uri()}#{node.id}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    section = re.search(rf'<section data-node="{node.id}"[^>]*>', done.stdout)
    assert section and "hidden" not in section[0], "the script did not open the node that the address names"
    assert re.search(r'<section data-node="" hidden', done.stdout)
    assert re.search(r'class="node chosen"', done.stdout)
