"""
Inventories for the links from docstrings to other projects' documentation,
made from what is installed here, so that the documentation builds without a
network.  A link to a name that does not exist is an error.
"""

from __future__ import annotations

import ast
import builtins
import pkgutil
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

#: Where the names of a package are documented, and how a name is found there:
#: {name} is the whole name, {leaf} its last part, {module} the module that it
#: stands in.  Of the built-in names, docstrings link to exceptions.
SITES = {
    "twisted": ("https://docs.twisted.org/en/stable/api", "{name}.html"),
    "zope": ("https://zopeinterface.readthedocs.io/en/latest", "api/index.html"),
    "attrs": ("https://www.attrs.org/en/stable", "api.html#{name}"),
    "automat": ("https://automat.readthedocs.io/en/stable", "api/index.html"),
    "klein": ("https://klein.readthedocs.io/en/latest", "index.html"),
    "hiredis": ("https://github.com/redis/hiredis-py", ""),
    "builtins": ("https://docs.python.org/3/library", "exceptions.html#{leaf}"),
    "cronsim": ("https://github.com/cuu508/cronsim", ""),
    "": ("https://docs.python.org/3/library", "{module}.html#{name}"),
}

LINK = re.compile(r"\bL\{(?:[^{}<]*<)?\s*([A-Za-z_][\w.]*)\s*>?\s*\}")


def write(package: Path, into: Path) -> list[str]:
    """
    Write an inventory for each project that the docstrings of a package link
    to.

    @return: the options for pydoctor that name them.
    """
    into.mkdir(parents=True, exist_ok=True)
    options = []
    for root, names in sorted(by_site(external_links(package)).items()):
        site, page = SITES[root]
        path = into / f"{root or 'python'}.inv"
        path.write_bytes(inventory(names, page))
        options.append(f"--intersphinx-file={path}::{site}")
    return options


def external_links(package: Path) -> set[str]:
    """The whole names of everything outside a package that it links to."""
    found: set[str] = set()
    for path in sorted(package.rglob("*.py")):
        found |= set(links_of(ast.parse(path.read_text()), package.name))
    return found


def links_of(module: ast.Module, package: str) -> Iterator[str]:
    """The links in the docstrings of one module, by way of its imports."""
    imports = imported(module)
    for node in ast.walk(module):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        for link in LINK.findall(node.value):
            first, dot, rest = link.partition(".")
            name = imports.get(first, first) + dot + rest
            if hasattr(builtins, name) or is_external(name, package):
                yield name


def imported(module: ast.Module) -> dict[str, str]:
    """What the names that a module imports stand for."""
    names = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            names.update({a.asname: a.name for a in node.names if a.asname})
    return names


def is_external(name: str, package: str) -> bool:
    """
    Whether a whole name exists and is not the package's own.  Pydoctor reports
    one that does not exist.
    """
    if name.split(".")[0] == package:
        return False
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True


def by_site(names: set[str]) -> dict[str, set[str]]:
    """Sort names by the entry of L{SITES} that they belong to."""
    sorted_names = defaultdict(set)
    for name in names:
        root = "builtins" if hasattr(builtins, name) else name.split(".")[0]
        if root in SITES:
            sorted_names[root].add(name)
        elif root in sys.stdlib_module_names:
            sorted_names[""].add(name)
    return sorted_names


def inventory(names: set[str], page: str) -> bytes:
    """Make an objects.inv of the second version."""
    lines = [f"{name} py:obj 1 {place(name, page)} -\n" for name in sorted(names)]
    head = (
        "# Sphinx inventory version 2\n# Project: links\n# Version: 1\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    return head.encode() + zlib.compress("".join(lines).encode())


def place(name: str, page: str) -> str:
    """Where a name is on its site."""
    leaf = name.rpartition(".")[2]
    return page.format(name=name, leaf=leaf, module=module_of(name)) or "."


def module_of(name: str) -> str:
    """The longest part of a name that is a module."""
    while name not in sys.modules and "." in name:
        name = name.rpartition(".")[0]
    return name
