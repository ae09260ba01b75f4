# -*- test-case-name: tests.processes.test_privileges -*-
"""
Running a child as another user or group.

L{subprocess.Popen} could change them itself, but would have to fork the host
for it instead of using vfork: 40 ms at 1 GB where 1 ms is usual.  So the child
is executed through C{setpriv}, which changes them and executes the program.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shutil
from collections.abc import Mapping
from functools import cache

from attrs import evolve, frozen

from sockhost.interfaces import SpawnError
from sockhost.processes.spec import ChildSpec


@frozen
class Credentials:
    """
    Whom a child is to run as.

    @ivar account: the entry of the user, if a user was asked for and has one.
    """

    uid: int
    gid: int
    account: pwd.struct_passwd | None

    @property
    def are_ours(self) -> bool:
        """Whether the host already has them."""
        return (self.uid, self.gid) == (os.geteuid(), os.getegid())


def find_credentials(user: str | None, group: str | None) -> Credentials:
    """
    Look up a user and a group by their names or numbers.

    @raise LookupError: there is none; the text says which.
    """
    account = None if user is None else _account(user)
    if user is None:
        uid, gid = os.geteuid(), os.getegid()
    elif account is None:
        uid, gid = int(user), os.getegid()
    else:
        uid, gid = account.pw_uid, account.pw_gid
    if group is not None:
        gid = _group(group)
    elif user is not None and account is None:
        raise LookupError(f"user {user} is in no database: it needs a group too")
    return Credentials(uid, gid, account)


def apply_privileges(spec: ChildSpec) -> ChildSpec:
    """
    Make the specification of what is really executed: the same where the user
    is the host's, else the program by way of C{setpriv}, with C{HOME}, C{USER}
    and C{LOGNAME} of the user unless the environment sets them otherwise
    than the host's does.

    @raise SpawnError: there is no such user, the host may not change to
        it, or the program is not there or not executable.
    """
    if spec.user is None and spec.group is None:
        return spec
    try:
        credentials = find_credentials(spec.user, spec.group)
    except LookupError as error:
        raise SpawnError(errno.EINVAL, spec.argv[0], str(error.args[0])) from error
    env = _user_environment(spec.env, credentials)
    if not credentials.are_ours:
        spec = evolve(spec, argv=_prefix(spec, credentials, env))
    return evolve(spec, env=env)


def _account(user: str) -> pwd.struct_passwd | None:
    number = _is_number(user)
    try:
        return pwd.getpwuid(int(user)) if number else pwd.getpwnam(user)
    except (KeyError, ValueError):  # the latter for what no name can have in it
        if number:
            return None
        raise LookupError(f"there is no user {user!r}") from None


def _group(group: str) -> int:
    if _is_number(group):
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise LookupError(f"there is no group {group!r}") from None


def _is_number(text: str) -> bool:
    # Of the system's: the greatest means that nothing is to change.
    return text.isdecimal() and len(text) <= 10 and int(text) < 2**32 - 1


def _user_environment(
    env: Mapping[str, str] | None, credentials: Credentials
) -> dict[str, str]:
    result = dict(os.environ if env is None else env)
    account = credentials.account
    if account is not None:
        own = {"HOME": account.pw_dir, "USER": account.pw_name}
        own["LOGNAME"] = account.pw_name
        for name, value in own.items():
            if name not in result or result[name] == os.environ.get(name):
                result[name] = value
    return result


def _prefix(
    spec: ChildSpec, credentials: Credentials, env: Mapping[str, str]
) -> tuple[str, ...]:
    program = spec.argv[0]
    if os.geteuid() != 0:
        reason = "only root may run it as another user or group"
        raise SpawnError(errno.EPERM, program, reason)
    setpriv = _setpriv()
    if setpriv is None:
        reason = "running it as another user needs setpriv (of util-linux)"
        raise SpawnError(errno.ENOSYS, program, reason)
    words = [setpriv, "--reuid", str(credentials.uid), "--regid", str(credentials.gid)]
    known = credentials.account is not None
    words.append("--init-groups" if known else "--clear-groups")
    return (*words, "--", _executable(spec, env), *spec.argv[1:])


@cache
def _setpriv() -> str | None:
    return shutil.which(
        "setpriv", path="/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"
    )


def _executable(spec: ChildSpec, env: Mapping[str, str]) -> str:
    """
    Find the program as exec would, as an error of C{setpriv} would come too
    late and as a mere exit code.
    """
    program = spec.argv[0]
    if "/" in program:
        _check(os.path.join(spec.cwd or "", program), program)
        return program
    found = shutil.which(program, path=env.get("PATH", os.defpath))
    if found is None:
        raise SpawnError(errno.ENOENT, program, os.strerror(errno.ENOENT))
    return os.path.abspath(found)


def _check(path: str, program: str) -> None:
    number = 0
    if not os.path.exists(path):
        number = errno.ENOENT
    elif not os.path.isfile(path) or not os.access(path, os.X_OK):
        number = errno.EACCES
    if number:
        raise SpawnError(number, program, os.strerror(number))
