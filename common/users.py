"""Users of this machine, by number and by name."""

from __future__ import annotations

import pwd


def user_name(user: int) -> str:
    """The name of a user, or the number if it has none here (as in a container)."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
