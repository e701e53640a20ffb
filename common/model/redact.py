"""Removes secrets from texts that are logged or printed.

The only code that recognises secrets. Of a URL it shows scheme, hosts, ports, the names of query
parameters, and path segments that look like words: cameras and media servers have passwords, tokens and
stream keys in all the rest, under any name. When in doubt it removes too much.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_HIDDEN: Final = "***"
_SCHEME: Final = re.compile(r"[A-Za-z][\w+.-]*://")
# `USER:PASSWORD@` without a scheme, up to the last @: an unescaped password may contain any character.
_LOGIN: Final = re.compile(r"""(?<![^\s='"(,])[^\s:@='"/]*:(?!//|\s).*@""")
# Slashes before it are those of a mistyped scheme, as in `rtsp//USER:PASSWORD@`.
_LOGIN_ALONE: Final = re.compile(r"""(?<![^\s='"(,])[^\s:@='"]*:(?!//).*@""", re.DOTALL)
# In a text a URL ends at white space, or at a quotation mark with nothing but punctuation after it.
_URL_CHARACTERS: Final = re.compile(r"""(?:[^\s'"<>]|['"](?![\s,;:.)]|$))*""")
_HOSTS: Final = re.compile(r"(?:(?:\[[^\]]*\]|[^:@\[\]\s]*)(?::\d{1,5})?(?:,|$))+")
_BARE_IPV6: Final = re.compile(r"[0-9a-fA-F.]*(?::[0-9a-fA-F.]*){2,}")
_AFTER_HOSTS: Final = re.compile(r"[/?#\\]")
# What may be a `name=value` of its own, or escapes one.
_SUSPICIOUS: Final = re.compile(r"[=@:;&%?]")
# Keys and tokens: long, or mixed as words are not.
_RANDOM: Final = re.compile(r".{16}|(?=.*[a-z])(?=.*[A-Z])(?=.*\d).{8}", re.DOTALL)
# Times are no secrets, and what is asked of the broker should be seen.
_TIME: Final = re.compile(r"(?:heartbeat|\w*timeout)=\d{1,9}")
_LAST_WORD: Final = re.compile(r"""[^\s='"(,]*$""")
_ANY: Final = re.compile(r".*", re.DOTALL)
_LOGINS: Final = ("amqp://", "amqps://")
# What precedes `://` elsewhere may be a user, and what follows it a password.
_WITH_PATHS: Final = ("http://", "https://", "rtsp://", "rtsps://", "rtmp://", "rtmps://")


def without_secrets(text: str) -> str:
    """The text, with everything in its URLs that may be a secret replaced by `***`.

    A URL in a text ends with its line at the latest.
    """
    parts, at = [], 0
    while (scheme := _SCHEME.search(text, at)) is not None:
        end = _end_of_url(text, scheme)
        parts.append(_url(text[at : scheme.start()], scheme[0], text[scheme.end() : end]))
        at = end
    return "".join([*parts, _LOGIN.sub(f"{_HIDDEN}@", text[at:])])


def url_without_secrets(value: str) -> str:
    """The same for a single value: a URL in it extends to its end, whatever characters there are."""
    scheme = _SCHEME.search(value)
    if scheme is None:
        path, question, query = _LOGIN_ALONE.sub(f"{_HIDDEN}@", value).partition("?")
        return path + question + (_query(query) if "=" in query else query)
    return _url(value[: scheme.start()], scheme[0], value[scheme.end() :], word=_ANY)


def _end_of_url(text: str, scheme: re.Match[str]) -> int:
    characters = _URL_CHARACTERS.match(text, scheme.end())
    end = scheme.end() if characters is None else characters.end()
    # An unescaped password may contain white space and quotation marks.
    line_end = text.find("\n", end)
    last_at = text.rfind("@", end, line_end if line_end >= 0 else len(text))
    authority = _AFTER_HOSTS.split(text[scheme.end() : end], maxsplit=1)[0]
    if last_at < 0 or _before_path(authority, scheme[0].lower()):
        return end
    characters = _URL_CHARACTERS.match(text, last_at)
    return last_at if characters is None else characters.end()


def _url(before: str, scheme: str, rest: str, word: re.Pattern[str] = _LAST_WORD) -> str:
    last = word.search(before)
    if last is not None and ":" in last[0] and "@" in rest:
        # FFmpeg's `cache:http://`, or a password with `://` in it, as in `USER:PASS://WORD@HOST`.
        before, scheme = before[: last.start()], f"{_HIDDEN}://"
    return _LOGIN.sub(f"{_HIDDEN}@", before) + scheme + _authority_and_path(scheme.lower(), rest)


def _authority_and_path(scheme: str, rest: str) -> str:
    found = _AFTER_HOSTS.search(rest)
    authority, tail = (rest, "") if found is None else (rest[: found.start()], rest[found.start() :])
    if "@" in tail and not _before_path(authority, scheme):
        # A password with a slash in it, or an @ in the path: which part is the host is not clear.
        _, _, tail = tail.rpartition("@")
        found = _AFTER_HOSTS.search(tail)
        return _HIDDEN + ("" if found is None else _path(tail[found.start() :]))
    user, at, hosts = authority.rpartition("@")
    # The user of a broker alone is no secret: its administrator is asked about it by name.
    shown_user = user if not user or (scheme in _LOGINS and ":" not in user) else _HIDDEN
    return (f"{shown_user}@" if at else "") + _hosts(hosts) + _path(tail)


def _before_path(authority: str, scheme: str) -> bool:
    """Whether it ends with the hosts, although an @ follows, and not within `USER:12/3@4/5@HOST`."""
    login, _, hosts = authority.rpartition("@")
    alone = scheme in _WITH_PATHS and not (login or ":" in hosts)
    named = "." in hosts or hosts.startswith(("[", "localhost")) or alone
    return named and scheme not in _LOGINS and _HOSTS.fullmatch(hosts) is not None


def _hosts(hosts: str) -> str:
    if _HOSTS.fullmatch(hosts) or _BARE_IPV6.fullmatch(hosts):
        return hosts
    # What follows the colon is no port: the rest of `USER:PASSWORD`, most likely.
    return f"{hosts.partition(':')[0]}:{_HIDDEN}" if ":" in hosts else hosts


def _path(tail: str) -> str:
    before_fragment, fragment, _ = tail.partition("#")
    path, question, query = before_fragment.partition("?")
    shown = re.sub(r"[^/\\]+", lambda segment: _word(segment[0]), path)
    if question:
        shown += question + _query(query)
    return shown + (f"#{_HIDDEN}" if fragment else "")


def _query(query: str) -> str:
    return re.sub(r"[^&]+", lambda pair: _pair(pair[0]), query)


def _pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    if _TIME.fullmatch(pair):
        return pair
    # Base64 ends with one or two =: what comes before them is then no name.
    return f"{_word(name)}={_HIDDEN}" if name and value.strip("=") else _HIDDEN


def _word(text: str) -> str:
    return _HIDDEN if _SUSPICIOUS.search(unquote(text)) or _RANDOM.match(text) else text
