# -*- test-case-name: tests.config.test_config -*-
"""
The configuration: what a TOML file says, checked whole and frozen.

    - L{load} reads a file and C{units.d/} beside it into a L{Config}, in which
      a bad unit is quarantined; L{changes} compares two of them; L{write_unit}
      adds a file to C{units.d/}.
    - L{structure} makes an instance of one configuration class; L{describe}
      lists its keys for people.
    - L{positive}, L{not_negative}, L{between}, L{one_of}, L{not_empty},
      L{command}, L{unix_path}, L{python_name} and L{unit_name} are validators
      for the fields of such classes.

Every string in a file may have placeholders: C{{run_dir}}, C{{log_dir}},
C{{config_dir}}, C{{name}} (of the unit), C{{python}} (this interpreter),
C{{valkey_server}} (the program that C{sockhost[demo]} brings), C{{env:NAME}}
and C{{env:NAME:-default}} (also used when the variable is empty).  A doubled
brace stands for a brace.  C{run_dir}, C{log_dir} and C{control} are made absolute
against the current directory.
"""

from __future__ import annotations

from sockhost.config.checks import (
    Validator,
    between,
    command,
    not_empty,
    not_negative,
    one_of,
    positive,
    python_name,
    unit_name,
    unix_path,
)
from sockhost.config.describe import KeyDoc, describe
from sockhost.config.files import write_unit
from sockhost.config.load import changes, load
from sockhost.config.structure import structure
from sockhost.config.values import (
    Changes,
    Config,
    HostSettings,
    NotifySettings,
    Problem,
    Quarantined,
    RestartPolicy,
    UnitConfig,
)

__all__ = [
    "Changes",
    "Config",
    "HostSettings",
    "KeyDoc",
    "NotifySettings",
    "Problem",
    "Quarantined",
    "RestartPolicy",
    "UnitConfig",
    "Validator",
    "between",
    "changes",
    "command",
    "describe",
    "load",
    "not_empty",
    "not_negative",
    "one_of",
    "positive",
    "python_name",
    "structure",
    "unit_name",
    "unix_path",
    "write_unit",
]
