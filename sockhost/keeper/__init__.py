"""
Keeping a unit at its goal.

    - L{sockhost.keeper.keeper}: L{Keeper<sockhost.keeper.keeper.Keeper>}, the
      public face;
    - L{sockhost.keeper.machine}: the states, as a table;
    - L{sockhost.keeper.core}: what the states share, and the runs of a unit;
    - L{sockhost.keeper.turns}: who waits for it, and what waits for its turn;
    - L{sockhost.keeper.restart}: whether and how soon to start again.
"""

from sockhost.keeper.keeper import Keeper

__all__ = ["Keeper"]
