"""Writes docs/registration.md: `python -m scripts.docs.registration_table`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.client_compat.expected import EXPECTED
from tests.client_compat.index import PROFILES
from tests.client_compat.malicious_registrations import ADDRESSES, REDIRECTS, REJECTED, SHAPES
from tests.client_compat.narrowed_registrations import NARROWED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.client_compat.expected import Column, Provider
    from tests.client_compat.malicious_registrations import Hostile

TABLE = Path(__file__).parents[2] / "docs" / "registration.md"
_HEAD = """\
# Client registration

A client without a client id registers before its first login (RFC 7591). `registration.profile` in
`idp-config/access.yaml` decides which clients may. The tests verify the tables with the real providers; they are
written by `python -m scripts.docs.registration_table` from `tests/client_compat/`.

*ran*: the real program registered, logged in and called this server, with a real Keycloak, and its requests were
recorded. *read*: its requests were taken from public source code, logs or issues. In both cases the tests send them
unchanged: registration, login with the client's own parameters at each of its redirect URIs, a call that the server
accepts, a refresh, and the deletion of the registration.
"""
_CLIENTS = """\
A *hosted* client runs on its vendor's machines and cannot reach a server on this machine. A vendor's redirect URIs
are listed under `vendors` in the access file and allowed by some registration profiles only; a client is rejected if
any of its URIs is not allowed. ChatGPT uses one URI for all users if the provider sends `iss` in the authorization
response (RFC 9207), as Keycloak does; if ChatGPT shows a URI of the form `https://chatgpt.com/connector/oauth/…`, add
it to `vendors`.
"""
_REFRESH = """\
A client that refreshes twice concurrently with one token, as two windows of a program may do, gets {better} and
{worse}{then}.
"""
_ENDS = ", and its session ends: the user must log in again, the registration stays"
_HOSTILE = """\
### Rejected registrations at {name}

{count} requests, each sent with each registration profile{failures}.
"""
_FAILURES = ".\nThose with a status fail inside the provider, and nothing is registered"
_NARROWED = """\
### Accepted registrations without additional rights at {name}

The provider responds 201 to some of these but does not grant what they request: every such client requires consent
and PKCE with S256, has only the loopback redirect URI that it registered, and gets no token without a user.{more}
"""
_MORE = {
    "Keycloak": """ A *weakness* is
what Keycloak allows by default, before the bootstrap; [Keycloak](keycloak.md#the-nine-weaknesses) lists them.""",
    "Dex": """ At the
registration proxy they all get one of the same public clients.""",
}
_NOTES = {
    "Keycloak": """\
With the profile `cimd` there is no registration: a client is identified by the URL of its metadata document
([Keycloak](keycloak.md)).
""",
    "Dex": """\
The clients' requests are those recorded with Keycloak; how a client's requests would differ with Dex is unknown,
except for the official SDKs, which ran ([Dex](dex.md)).
""",
}


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    return _line(head) + "|" + "---|" * len(head) + "\n" + "".join(map(_line, rows))


def _cell(name: str, column: Column, lost: tuple[str, ...]) -> str:
    if name not in column.allowed:
        return f"rejected ({column.status})"
    if lost:
        return f"logs in, but not at {', '.join(f'`{uri}`' for uri in lost)}"
    return "logs in, with a token" if column.initial_access_token else "logs in"


def _clients(provider: Provider) -> str:
    columns = provider.tested()
    rows = (
        (
            f"{name} (hosted)" if profile.hosted else name,
            profile.version,
            str(profile.evidence),
            *(_cell(name, column, provider.lost_redirects.get(name, ())) for column in columns.values()),
        )
        for name, profile in PROFILES.items()
    )
    return _table(["client", "version", "evidence", *(f"`{name}`" for name in columns)], rows)


def _rejected(hostile: Iterable[Hostile], provider: Provider) -> list[Hostile]:
    return [one for one in hostile if one.name not in provider.responses]


def _tried(title: str, hostile: Iterable[Hostile], provider: Provider) -> str:
    def names() -> Iterator[tuple[str, str]]:
        for one in hostile:
            status = provider.failures.get(one.name)
            yield one.name if status is None else f"{one.name} ({status})", one.source

    return _table([title, "source"], names())


def _provider(name: str, provider: Provider) -> str:
    better, worse = provider.parallel_refresh
    then = _ENDS if provider.after_parallel_refresh != better else ""
    count = len(_rejected(REJECTED, provider))
    groups = {"redirect URI": REDIRECTS, "further address": ADDRESSES, "form": SHAPES}
    narrowed = (*(one for one in REJECTED if one.name in provider.responses), *NARROWED)
    parts = [
        f"## {name}\n",
        _clients(provider),
        *([_CLIENTS] if name == "Keycloak" else []),
        _NOTES[name],
        _REFRESH.format(better=better, worse=worse, then=then),
        *_cannot(name, provider),
        _HOSTILE.format(name=name, count=count, failures=_FAILURES if provider.failures else ""),
        *(
            _tried(title, rejected, provider)
            for title, group in groups.items()
            if (rejected := _rejected(group, provider))
        ),
        _NARROWED.format(name=name, more=_MORE[name]),
        _tried("requested", narrowed, provider),
    ]
    return "\n".join(parts)


def _cannot(name: str, provider: Provider) -> Iterator[str]:
    if provider.cannot:
        yield _table([f"{name} cannot", "what happens"], provider.cannot.items())


def _sources() -> str:
    rows = ((name, "; ".join(_short(source) for source in profile.sources)) for name, profile in PROFILES.items())
    return "## Where the requests come from\n\n" + _table(["client", "source"], rows)


def _short(source: str) -> str:
    """Returns a readable link; a description of how the program was run is returned unchanged."""
    if not source.startswith("https://github.com/") or " " in source:
        return source
    owner, repository, *rest = source.removeprefix("https://github.com/").split("/")
    number = f"#{rest[1]}" if rest[0] in {"issues", "pull"} else f" {rest[-1]}"
    return f"[{owner}/{repository}{number}]({source})"


def table() -> str:
    """Returns the whole document."""
    providers = (_provider(name, provider) for name, provider in EXPECTED.items())
    return "\n".join([_HEAD, *providers, _sources()])


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
