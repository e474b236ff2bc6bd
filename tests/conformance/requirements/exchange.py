from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "exchange.asks", "RFC 8693 section 2.1; RS-16", "exchange_token() asks as this server, for audience and scopes."
    ),
    Requirement(
        "exchange.remembers", "ours", "A token is remembered by the caller's token, audience and scopes, until it ends."
    ),
    Requirement("exchange.refused", "RFC 8693 section 2.2", "No usable token: a tool error without secrets."),
    Requirement("exchange.no_passing_on", "RS-13, RS-16", "The token that was sent here is never given out."),
    Requirement(
        "exchange.only_if_asked_for",
        "ours",
        "Only for what `upstreams` of the access file names a tool reaches a token.",
    ),
    Requirement("exchange.scopes", "ours", "Where a tool names no scopes, those of the access file are asked for."),
    Requirement(
        "exchange.ends", "RS-16", "Once the caller's token has ended nothing is exchanged or given out for it."
    ),
    Requirement("exchange.once", "ours", "The provider is asked once for all who want one token at once."),
    Requirement("exchange.bounded", "ours", "A bounded number of exchanges runs and waits; all end with the server."),
    Requirement("exchange.audited", "ours", "Each exchange is one line of the audit log, or nothing is given."),
)
