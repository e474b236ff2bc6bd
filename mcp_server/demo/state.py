"""The state that the demo tools share while the server runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_server.demo.notes import NoteStore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass
class State:
    """The state shared by all tools, created by `create_app`.

    Attributes:
        tls: the TLS context for connections to downstream APIs; it trusts the default authorities and OAUTH_CA_FILE.
        notes: the notes of all users.
        upstreams: the URL of each downstream API, by the audience of its tokens.
    """

    tls: ssl.SSLContext
    notes: NoteStore = field(default_factory=NoteStore)
    upstreams: Mapping[str, str] = field(default_factory=dict)
