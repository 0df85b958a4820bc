"""Check what `make` needs before it sets anything up; each lack is met with the command that mends it.

Runs on any Python, so that an old one is told so instead of failing on our syntax.
"""

import shutil
import subprocess
import sys

LEAST_PYTHON = (3, 11)
LEAST_NODE = 20


def check_python() -> "str | None":
    """Return what is wrong with this Python, or None."""
    if sys.version_info[:2] < LEAST_PYTHON:
        return (
            "Concord needs Python %d.%d or later; %s is %d.%d. Name a newer one: make PYTHON=python3.12 ... "
            "(Debian, Ubuntu: apt install python3; macOS: brew install python)"
            % (LEAST_PYTHON + (sys.executable,) + sys.version_info[:2])
        )
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian ships Python without it; asking is the check
        import venv  # noqa: F401, PLC0415
    except ImportError:
        return "This Python lacks the venv module. Debian, Ubuntu: apt install python3-venv; then run make again."
    return None


def check_node() -> "str | None":
    """Return what is wrong with this machine's Node, or None."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "The tests need Node %d or later with npm (the demo does not): see https://nodejs.org" % LEAST_NODE
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = found.lstrip("v").split(".")[0]
    if not major.isdigit() or int(major) < LEAST_NODE:
        return "The tests need Node %d or later; %s is %s: see https://nodejs.org" % (LEAST_NODE, node, found)
    return None


def main(arguments: "list[str]") -> int:
    """Run the named check; exit 0 when nothing is wrong."""
    wrong = {"python": check_python, "node": check_node}[arguments[0]]()
    if wrong is not None:
        sys.stderr.write(wrong + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
