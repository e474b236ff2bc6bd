"""The quirks: what the stack does for clients that do not follow the specification, each with its setting.

docs/clients/quirks.md describes them, and `mcp-idp doctor --quirks` reports them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """One quirk.

    Attributes:
        name: its name in findings.
        setting: the environment variable.
        on: the value that turns it on.
        helps: which clients it helps, in a few words.
        event: what the log has when it is used.
        reports: public reports that it answers, as `owner/repository#number`.
    """

    name: str
    setting: str
    on: str
    helps: str
    event: str
    reports: tuple[str, ...] = ()


AUTHORIZE_REDIRECT = Quirk(
    name="authorize_redirect",
    setting="QUIRK_AUTHORIZE_REDIRECT",
    on="true",
    helps="clients that open /authorize at the MCP server instead of at the provider that its metadata names",
    event="authorization_request_redirected",
    reports=(
        "anthropics/claude-ai-mcp#984",
        "anthropics/claude-ai-mcp#341",
        "anthropics/claude-ai-mcp#694",
        "anthropics/claude-ai-mcp#706",
        "anthropics/claude-ai-mcp#716",
        "anthropics/claude-ai-mcp#962",
    ),
)
ORIGIN_METADATA = Quirk(
    name="origin_metadata",
    setting="QUIRK_ORIGIN_METADATA",
    on="true",
    helps="clients that look for the provider's metadata at its origin although the issuer has a path (Qwen Code)",
    event="http.log.access.origin_metadata",
)
STREAM_COMMENTS = Quirk(
    name="stream_comments",
    setting="QUIRK_STREAM_COMMENTS",
    on="15s",
    helps="clients behind a proxy that holds back a stream until its first byte, or closes a silent one",
    event="stream_comments_sent",
    reports=("sseshachala/conductai#1744",),
)
LEGACY_DISCOVERY = Quirk(
    name="legacy_discovery",
    setting="LEGACY_DISCOVERY",
    on="true",
    helps="clients that predate RFC 9728 and look for the provider's metadata at the MCP server",
    event="legacy_discovery_used",
)
QUIRKS = (AUTHORIZE_REDIRECT, LEGACY_DISCOVERY, ORIGIN_METADATA, STREAM_COMMENTS)
