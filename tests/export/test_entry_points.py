"""``opentelemetry-instrument python app.py`` traces a program that knows nothing of tracediff."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tomllib

import pytest

from tests.integrations import bodies
from tests.integrations.loopback import Loopback, as_json

ROOT = pathlib.Path(__file__).parents[2]
APP = """
import os
from openai import OpenAI

client = OpenAI(api_key="k", base_url=os.environ["SERVER"], max_retries=0)
print(client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "How many?"}]).choices[0].message.content)
"""


def entries(group):
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][group]


def test_the_entry_points_lead_somewhere():
    for group in ("tracediff.integrations", "opentelemetry_instrumentor"):
        for value in entries(group).values():
            module, _, name = value.partition(":")
            assert hasattr(importlib.import_module(module), name)


def installed(folder):
    """Return ``folder`` with the metadata of an installed tracediff, as a wheel has it."""
    made = folder / "tracediff-0.1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: tracediff\nVersion: 0.1.0\n")
    lines = []
    for group in ("tracediff.integrations", "opentelemetry_instrumentor"):
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries(group).items())]
    (made / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_an_undecorated_program_is_traced(tmp_path):
    if importlib.util.find_spec("opentelemetry.distro") is None:
        pytest.skip("opentelemetry-distro is not installed")
    (tmp_path / "app.py").write_text(APP)
    server = Loopback()
    server.script(as_json(bodies.chat("There are seven.")))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed(tmp_path)), str(ROOT), str(ROOT / "integrations")]),
        "SERVER": server.base_url,
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "console",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai,openai-v2,threading,httpx,requests,urllib3,urllib,anthropic",
    }
    run = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"  # what opentelemetry-instrument does
    command = [sys.executable, "-c", run, sys.executable, "app.py"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120, check=False
        )
    finally:
        server.close()
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("There are seven.\n")
    spans = [span for span in documents(done.stdout) if "context" in span]
    assert [span["name"] for span in spans] == ["chat sim"]
    assert spans[0]["attributes"]["gen_ai.request.model"] == "sim"
    assert "gen_ai.client.operation.duration" in done.stdout
    assert "How many" not in done.stdout  # content is off


def documents(text):
    """Yield the JSON documents that the console exporters printed."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at != -1:
        found, length = decoder.raw_decode(text[at:])
        yield found
        at = text.find("{", at + length)
