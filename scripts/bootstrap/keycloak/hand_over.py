"""From the administrator of Keycloak's first start to accounts of this one realm.

The order is what makes it safe to break off anywhere and run again: an account's secret is in its file before Keycloak
knows it, gets its name there only when the account was seen to work, and the temporary administrator is removed last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.failures import AdminRefused, NotProven, SettingsFailure
from scripts.bootstrap.keycloak.accounts import ACCOUNTS, ADMIN_REALM, make, prove_account
from scripts.bootstrap.keycloak.finding import find_client
from scripts.bootstrap.keycloak.session import Session
from scripts.bootstrap.secret_file import keep_secret, read_secret
from scripts.bootstrap.settings import account_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.bootstrap.settings import BootstrapSettings

_TEMPORARY = "is_temporary_admin"  # Keycloak's own mark of an administrator made at its start


def hand_over(settings: BootstrapSettings, *, wait: int, say: Callable[[str], None]) -> None:
    """Make the accounts, prove them, remove the temporary administrator. A second time only the proofs are left.

    Args:
        settings: which realm, the temporary administrator, and the folder for the accounts' secrets.
        wait: seconds to wait for a provider that is still starting.
        say: takes each line for people.

    Raises:
        Failure: it could not be done, or an account may do too little or too much; the administrator is still there.
    """
    if settings.accounts is None:
        raise SettingsFailure("KEYCLOAK_ACCOUNTS: set it to the folder where the accounts' secrets shall be kept")
    if settings.admin_realm != ADMIN_REALM:
        raise SettingsFailure(
            f"KEYCLOAK_ADMIN_REALM={settings.admin_realm}: it takes an administrator of {ADMIN_REALM}"
        )
    master = Session(settings, say, realm=ADMIN_REALM)
    try:
        master.log_in(wait)
    except AdminRefused:
        # Handed over already, or the wrong secret: the files of the accounts tell.
        if any(read_secret(account_file(settings.accounts, name)) is None for name in ACCOUNTS):
            raise
        _prove_all(settings, settings.accounts, say)
        say("no changes: the accounts work, and the temporary administrator is gone")
        return
    for name in ACCOUNTS:
        make(master, settings, name, _kept(settings.accounts, name))
        say(f"account {name}: its secret is in {account_file(settings.accounts, name)}")
    _prove_all(settings, settings.accounts, say)
    for name in ACCOUNTS:
        if (pending := _pending(settings.accounts, name)).exists():
            pending.replace(account_file(settings.accounts, name))
    _remove_temporary(master, settings, say)


def _pending(folder: Path, name: str) -> Path:
    """Where a secret is kept until its account was seen to work."""
    return account_file(folder, name).with_name("secret.pending")


def _held(folder: Path, name: str) -> str | None:
    return read_secret(account_file(folder, name)) or read_secret(_pending(folder, name))


def _kept(folder: Path, name: str) -> str:
    """The account's secret; a new one is written if there is none."""
    file = _pending(folder, name)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsFailure(f"{file.parent}: cannot be made ({error.strerror}); name another folder") from error
    return _held(folder, name) or keep_secret(file)


def _prove_all(settings: BootstrapSettings, folder: Path, say: Callable[[str], None]) -> None:
    for name in ACCOUNTS:
        say(f"proof: {prove_account(settings, name, _held(folder, name) or '', say)}")


def _remove_temporary(master: Session, settings: BootstrapSettings, say: Callable[[str], None]) -> None:
    """Delete the administrator that this run was, if it is the one of Keycloak's start, and see it refused.

    Raises:
        NotProven: it can still log in.
    """
    admin = find_client(master, settings.admin_client_id)
    if admin is None or (admin.get("attributes") or {}).get(_TEMPORARY) != "true":
        say(f"note: the administrator {settings.admin_client_id} is not a temporary one and stays")
        return
    master.write("DELETE", ("clients", admin["id"]))
    try:
        Session(settings, say).log_in(0)
    except AdminRefused:
        say(f"- the temporary administrator {settings.admin_client_id}: it can no longer log in")
        return
    raise NotProven(f"the administrator {settings.admin_client_id} was deleted and can still log in")
