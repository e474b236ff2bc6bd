"""Test support: a provider in this process that signs for real, and the corpus of hostile requests.

Nothing else in `mcp_idp` imports this package, and the image of the server does not hold it.
"""

from __future__ import annotations
