"""What the demo tools share while the server runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_server.demo.notes import NoteStore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass
class State:
    """Shared by all tools; `create_app` makes one.

    Attributes:
        tls: verifies the certificates of other APIs: the system's authorities and that of OAUTH_CA_FILE.
        notes: per person.
        upstreams: the URL of each other API, by the audience of its tokens.
    """

    tls: ssl.SSLContext
    notes: NoteStore = field(default_factory=NoteStore)
    upstreams: Mapping[str, str] = field(default_factory=dict)
