"""The registrar: normalizes dynamic client registrations (RFC 7591) before the provider judges them."""
