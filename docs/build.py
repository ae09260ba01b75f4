"""
Build the documentation: C{python docs/build.py [DIRECTORY]}.  Every warning of
Sphinx and of pydoctor is an error, and so is a reference of the configuration
that is not what the code says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
CONFIG_REFERENCE = DOCS / "reference" / "config.rst"


def check_config_reference() -> None:
    """Write the reference anew, and stop if that changed it."""
    before = CONFIG_REFERENCE.read_bytes()
    subprocess.run([sys.executable, DOCS / "generate_config.py"], check=True)
    if CONFIG_REFERENCE.read_bytes() != before:
        sys.exit(f"{CONFIG_REFERENCE} was not what the code says; it is now")


def main(into: Path) -> int:
    """Build the pages; the result is Sphinx's exit status."""
    check_config_reference()
    sphinx = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q"]
    pages = into / "html"
    status = subprocess.run([*sphinx, "-d", into / "doctrees", DOCS, pages]).returncode
    if status == 0:
        print(f"docs: {pages / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else DOCS / "_build"))
