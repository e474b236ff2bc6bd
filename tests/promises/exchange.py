from tests.requirements import Requirement

REQUIREMENTS = (
    Requirement(
        "exchange.asks", "RFC 8693 section 2.1; RS-16", "upstream_token() asks as this server, for audience and scopes."
    ),
    Requirement(
        "exchange.remembers", "ours", "A token is remembered by the caller's token, audience and scopes, until it ends."
    ),
    Requirement("exchange.refused", "RFC 8693 section 2.2", "No usable token: a tool error without secrets."),
    Requirement("exchange.no_passing_on", "RS-13, RS-16", "The token that was sent here is never given out."),
    Requirement("exchange.only_if_asked_for", "ours", "Without TOKEN_EXCHANGE no tool reaches any token."),
)
