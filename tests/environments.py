"""Virtual environments for tests against other releases: made once under build/, kept until what they need changes."""

import hashlib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def made(place, wanted):
    """The Python of an environment with tracediff and ``wanted`` installed; a second time costs nothing."""
    stamp = hashlib.sha256(
        "\n".join([sys.version, *wanted, (ROOT / "pyproject.toml").read_text()]).encode()
    ).hexdigest()
    python = place / "bin" / "python"
    said = place / ".installed"
    if not said.exists() or said.read_text() != stamp:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "--editable", ROOT, *wanted], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{place.name}: pip could not install {', '.join(wanted)}:\n{done.stderr[-2000:]}")
        said.write_text(stamp)
    return python


def run(python, *words):
    """Exit code and all that pytest says."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def versions(python):
    """Package -> version of what is installed."""
    command = [python, "-m", "pip", "list", "--format=freeze"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)


def chosen(names, environments):
    """The names as they are; exits where one is not known."""
    unknown = [name for name in names if name not in environments]
    if unknown:
        raise SystemExit(f"no environment is named {unknown[0]!r}; known: {', '.join(environments)}")
    return names
