from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("issuers.several", "RFC 8725 section 3.8", "Of several issuers each vouches for its own tokens only."),
    Requirement("issuers.aliases", "RFC 7519 section 4.1.1", "A listed alias is the same issuer; nothing else is."),
    Requirement("issuers.clients", "RS-12", "Without aud a token counts for listed clients only, and never for none."),
    Requirement("issuers.machine_clients", "ours", "A token without a person counts for listed machine clients only."),
    Requirement(
        "issuers.introspect_for",
        "RFC 7662",
        "Tokens with a named scope are asked about in JWT mode too; those of an issuer nobody can ask go without it.",
    ),
)
