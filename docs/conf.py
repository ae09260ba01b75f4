"""The configuration of the documentation: prose by Sphinx, API by pydoctor."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT)]

import generate_keeper  # noqa: E402
import inventory  # noqa: E402

import sockhost  # noqa: E402

GENERATED = DOCS / "generated"

project = "sockhost"
author = "the sockhost developers"
version = release = sockhost.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.intersphinx",
    "pydoctor.sphinx_ext.build_apidocs",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "listings"]
nitpicky = True

html_theme = "furo"
html_title = f"sockhost {release}"

generate_keeper.write(GENERATED)
_links = inventory.write(ROOT / "sockhost", GENERATED / "inventories")

# The API pages are made here, from the sources alone, and are linked to with
# the roles of the Python domain, as in {py:obj}`sockhost.interfaces.IUnit`.
intersphinx_mapping: dict[str, object] = {}
pydoctor_url_path = "api"
pydoctor_args = [
    "--project-name=sockhost",
    f"--project-base-dir={ROOT}",
    "--docformat=epytext",
    "--disable-intersphinx-cache",
    "--html-output={outdir}/api",
    "--warnings-as-errors",
    *_links,
    str(ROOT / "sockhost"),
]
