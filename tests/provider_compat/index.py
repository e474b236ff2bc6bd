"""All fake providers."""

from __future__ import annotations

from tests.provider_compat.opaque import OPAQUE
from tests.provider_compat.saas import HOSTED
from tests.provider_compat.self_hosted import HOSTING

FAKE_PROVIDERS = (*HOSTED, *HOSTING, *OPAQUE)
