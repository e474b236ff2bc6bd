"""The imitated providers."""

from __future__ import annotations

from tests.provider_compat.opaque import OPAQUE
from tests.provider_compat.saas import HOSTED
from tests.provider_compat.self_hosted import HOSTING

IMITATIONS = (*HOSTED, *HOSTING, *OPAQUE)
