"""Texts of Keycloak's pages that are ours: what the realm says in place of its theme, as `realm.yaml` has it.

Keycloak keeps them by language and key; a text that is not wanted any more goes, if the record says that it was ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change, differing, field_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.bootstrap.keycloak.actual import Actual

Texts = dict[str, dict[str, str]]  # by language, then by the theme's key


def message_names(texts: Texts) -> frozenset[str]:
    """Every text as "language/key"."""
    return frozenset(f"{language}/{key}" for language, found in texts.items() for key in found)


def message_changes(wanted: Texts, actual: Actual) -> Iterator[Change]:
    """What the realm's texts lack. A write names only what differs: Keycloak keeps the others."""
    for language, texts in wanted.items():
        there: Mapping[str, object] = actual.messages.get(language, {})
        changed = differing(texts, there)
        if changed:
            fields = tuple(field_of(key, there.get(key), text) for key, text in changed.items())
            what = f"set {', '.join(changed)}"
            yield Change(f"messages {language}", what, "POST", ("localization", language), changed, fields=fields)


def message_removals(wanted: Texts, actual: Actual) -> Iterator[Change]:
    """Texts that were ours and that the file no longer has."""
    for name in sorted(actual.ledger.messages - message_names(wanted)):
        language, _, key = name.partition("/")
        if key in actual.messages.get(language, {}):
            what = f"remove {key}, the file no longer has it"
            yield Change(f"messages {language}", what, "DELETE", ("localization", language, key), action="remove")
