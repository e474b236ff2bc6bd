"""Test support: an in-process identity provider that signs tokens, and the corpus of hostile requests.

Nothing else in `mcp_idp` imports this package, and the server's image does not contain it.
"""

from __future__ import annotations
