"""The verbs of the command line, put together from their parts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.apply import Desired, apply
from scripts.bootstrap.keycloak.proof import (
    example_tokens,
    own_registration_is_off,
    scopes_of,
    trial_registration,
)
from scripts.bootstrap.keycloak.session import Session
from scripts.bootstrap.proof import open_http, prove, provider_metadata, server_metadata
from scripts.bootstrap.secret_file import keep_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.bootstrap.settings import BootstrapSettings


_USUAL_URL = "http://localhost:3000/mcp"  # what ./scripts/login takes by itself


def say_at_once(line: str) -> None:
    """Print without buffering: in a container's log a line counts when it is there."""
    print(line, flush=True)


def run_apply(
    settings: BootstrapSettings,
    *,
    wait: int,
    try_registration: bool = False,
    say: Callable[[str], None] = say_at_once,
) -> int:
    """Make the provider as the files say and prove it; the number of changes.

    Args:
        settings: where and what.
        wait: seconds to wait for a provider that is still starting.
        try_registration: register a client for a moment even if nothing changed.
        say: takes each line for people.

    Raises:
        Failure: it could not be done, or the result is not as promised; the text says what to change.
    """
    # The files first: what is wrong in them should not take a running provider to find out.
    Desired.load(settings, None)
    session = Session(settings, say)
    session.log_in(wait)
    secret = keep_secret(settings.client_secret_file) if settings.client_secret_file else None
    changes = apply(session, Desired.load(settings, secret), say)
    say(f"{changes} changes" if changes else "no changes")
    with open_http() as http:
        proofs = [
            partial(provider_metadata, settings, http),
            partial(example_tokens, settings, session),
            partial(own_registration_is_off, settings, http),
            partial(server_metadata, settings, http),
        ]
        if changes or try_registration:
            proofs.append(partial(trial_registration, settings, http))
        prove(proofs, say)
    for line in _summary(settings):
        say(line)
    return changes


def _summary(settings: BootstrapSettings) -> Iterator[str]:
    """The last lines: who can log in, where, and what to type next."""
    access = settings.access
    yield ""
    if access.demo_users:
        width = max(map(len, access.demo_users))
        yield "Demo users (name / password):"
        for name, person in access.demo_users.items():
            scopes = " ".join(scope for scope in access.scopes if scope in scopes_of(access, person.roles))
            yield f"  {name:{width}} / {person.password:{width}}  {scopes or 'no role, so no scope'}"
    if settings.client_secret_file is None:
        yield "The server's secret for introspection is in Keycloak: OAUTH_CLIENT_SECRET_FILE was not set"
    yield f"Account page:  {settings.server_url}/account"
    yield f"MCP server:    {settings.public_url}"
    usual = settings.public_url == _USUAL_URL
    yield f"Next:          ./scripts/login{'' if usual else f' --url {settings.public_url}'}"
