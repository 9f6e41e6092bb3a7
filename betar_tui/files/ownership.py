"""Who else can read or write a file, by its owner, mode, access list and the accounts of this machine. Nothing is opened or
changed.

Root is trusted: it can do everything anyway. So is a group without other members, such as the group of their own that many
systems give to each person, or the one that a container platform makes for a volume."""

import os
import stat
import struct
from pathlib import Path

_USER, _OWNING_GROUP, _GROUP = 2, 4, 8
"""The tags of entries of an access list."""


def is_trusted(uid: int) -> bool:
    """Whether a file's owner is this user or root."""
    return uid in (0, os.geteuid())


def user_name(uid: int) -> str:
    """The name of a user, in words: "root" or "user …"."""
    import pwd  # deferred: needed only to complain

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return name if uid == 0 else f"user {name}"


def access_list(path: Path) -> bytes:
    """The access control list of a file, as Linux stores it, which `setfacl` sets; empty where there is none."""
    try:
        return os.getxattr(path, "system.posix_acl_access")
    except (OSError, AttributeError):  # not there, or not on this file system or platform
        return b""


def other_writers(found: os.stat_result, access: bytes = b"") -> str:
    """Those besides its owner and root who may write to a file or directory, in words; empty if nobody.

    Like the functions below it takes the file's `access_list` too: where there is one, the mode has for the group what
    those in the list have at most."""
    if found.st_mode & stat.S_IWOTH:
        return "everybody"
    if not found.st_mode & stat.S_IWGRP:
        return ""
    for tag, number in _listed_writers(access) or [(_OWNING_GROUP, 0)]:
        if tag == _USER and not is_trusted(number):
            return user_name(number)
        if tag in (_OWNING_GROUP, _GROUP) and (
            name := _group_of_others(found.st_gid if tag == _OWNING_GROUP else number)
        ):
            return f"the group {name}"
    return ""


def is_shared(directory: os.stat_result, access: bytes = b"") -> bool:
    """Whether others may put files or links of their own into a directory."""
    return not is_trusted(directory.st_uid) or bool(other_writers(directory, access))


def is_open_to_others(directory: os.stat_result, access: bytes = b"") -> bool:
    """Whether others may replace files of this user in a directory. In a sticky one, as /tmp is, they may only add some."""
    return is_shared(directory, access) and not (is_trusted(directory.st_uid) and directory.st_mode & stat.S_ISVTX)


def _listed_writers(access: bytes) -> list[tuple[int, int]]:
    """The entries of an access list that allow writing: tag, and number of a named user or group."""
    entries = struct.iter_unpack("<HHI", access[4:]) if len(access) % 8 == 4 else ()
    return [(tag, number) for tag, permissions, number in entries if permissions & 2]


def _group_of_others(gid: int) -> str:
    """The name of a group, or its number, if somebody else is in it; else empty."""
    if gid == 0:
        return ""  # root's; what joins it, as containers under an arbitrary user id do, is trusted with root's files
    import grp
    import pwd

    try:
        group = grp.getgrgid(gid)
    except KeyError:  # no account's: only processes that were started with it are in it
        name, members = str(gid), set[str]()
    else:
        name, members = group.gr_name, set(group.gr_mem)
    others = (each for each in pwd.getpwall() if not is_trusted(each.pw_uid))
    return name if any(each.pw_gid == gid or each.pw_name in members for each in others) else ""
