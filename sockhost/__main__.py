# -*- test-case-name: tests.cli.test_command -*-
"""
C{python -m sockhost}: the C{sockhost} command.
"""

from sockhost.cli import main

if __name__ == "__main__":
    main()
