from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("bootstrap.idempotent", "ours", "A second apply makes no write request and says so."),
    Requirement("bootstrap.heals", "ours", "An apply puts right what somebody changed, and only that."),
    Requirement("bootstrap.ownership", "ours", "Other realms, clients and client policies stay as they are."),
    Requirement(
        "bootstrap.order", "ours", "No moment of an apply is more open than the realm was before or is afterwards."
    ),
    Requirement(
        "bootstrap.scopes_by_role",
        "ours",
        "A login brings the scopes of the person's roles, with the audience.",
    ),
    Requirement("bootstrap.roles", "ours", "A role brings what the access file says, whatever it is made of."),
    Requirement(
        "bootstrap.nothing_besides", "ours", "A client of ours is what the files say, whatever was done to it by hand."
    ),
    Requirement("bootstrap.roles_claim", "ours", "The access token lists the person's roles for this resource."),
    Requirement(
        "bootstrap.nobody", "ours", "A person without a role gets a token without our scopes and without our audience."
    ),
    Requirement(
        "bootstrap.advertised", "RFC 8414 section 2", "The provider advertises the access file's scopes and no others."
    ),
    Requirement("bootstrap.introspection", "RFC 7662 section 2", "The server's own client may introspect, no more."),
    Requirement(
        "bootstrap.rotation",
        "OAuth 2.1 section 4.3.1",
        "A refresh token works once, and once more for two at the same time; a third use ends the session.",
    ),
    Requirement("bootstrap.pkce", "OAuth 2.1 section 4.1.1", "No code without PKCE, and none with the method plain."),
    Requirement("bootstrap.personas", "RFC 7591", "Known MCP clients can register with the requests they really send."),
    Requirement("bootstrap.redirects", "RFC 8252 section 7.3", "No redirect URI but loopback and the listed vendors'."),
    Requirement("bootstrap.profiles", "ours", "Each registration profile lets in what it says and nobody else."),
    Requirement(
        "bootstrap.loopback_only", "ours", "Demo users, open-dev and default passwords are refused off loopback."
    ),
    Requirement("bootstrap.native", "RFC 8252 section 7.3", "The pre-registered client works on any loopback port."),
    Requirement("bootstrap.secret", "ours", "The server's secret is made once, readable by its user only."),
    Requirement("bootstrap.proof", "ours", "An apply ends with an error if the result is not what was promised."),
    Requirement("bootstrap.trial", "RFC 7592", "The trial registration leaves no client behind."),
    Requirement("bootstrap.failures", "ours", "What cannot work ends with one line, no traceback, exit code 2 or 3."),
    Requirement("bootstrap.last_lines", "ours", "The last lines name the demo users, the URLs and the next command."),
    Requirement("bootstrap.changes", "ours", "Lists compare as sets; what Keycloak adds or drops is no difference."),
    Requirement("bootstrap.s1", "weakness S1", "A client that registered itself gets no token without a person."),
    Requirement("bootstrap.s2", "weakness S2", "No registration endpoint takes a client of Keycloak's own kind."),
    Requirement("bootstrap.s3", "weakness S3", "No registered client brings a mapper that writes claims."),
    Requirement("bootstrap.s4", "weakness S4", "No registered client chooses the lifetime of its tokens."),
    Requirement("bootstrap.s5", "weakness S5", "No registered client chooses how access tokens are signed."),
    Requirement("bootstrap.s6", "weakness S6", "A relative redirect URI is refused."),
    Requirement("bootstrap.s7", "weakness S7", "No registered client makes Keycloak show or fetch a foreign address."),
    Requirement(
        "bootstrap.s8", "weakness S8", "The consent page shows a client's name as text, and as its own word only."
    ),
    Requirement("bootstrap.s9", "weakness S9", "Passwords, implicit flow and device codes bring no token."),
    Requirement("bootstrap.hybrid", "RFC 9700 section 2.1.2", "No response type but code brings anything."),
    Requirement("bootstrap.ciba", "OpenID Connect CIBA section 4", "No client starts logins on other devices."),
    Requirement("bootstrap.exchange", "RFC 8693", "A client that registered itself exchanges no token."),
    Requirement(
        "bootstrap.uma", "User-Managed Access 2.0", "A registered client keeps no permissions and asks for none."
    ),
    Requirement("bootstrap.consent", "ours", "What a person agreed to counts for one client and for nothing more."),
    Requirement(
        "bootstrap.builtin_clients", "ours", "Keycloak's own clients, which ask nobody, bring none of our scopes."
    ),
    Requirement("bootstrap.registration_token", "RFC 7592", "A registration token keeps to the rules."),
    Requirement("bootstrap.offline", "OpenID Connect Core section 11", "Offline tokens end, by withdrawal too."),
    Requirement("bootstrap.account", "ours", "A registered client's token opens neither account nor admin pages."),
    Requirement("bootstrap.requests", "RFC 9101, RFC 9126", "A request object or pushed request gets round no rule."),
    Requirement("bootstrap.redirect_at_use", "RFC 9700 section 2.1", "A login goes back to a registered URI."),
    Requirement(
        "bootstrap.pairwise", "OpenID Connect Core section 8.1", "A client cannot give a person another subject."
    ),
    Requirement("bootstrap.unknown_client", "ours", "Who comes with a client id that is unknown reads what to do."),
    Requirement("bootstrap.messages", "ours", "Texts of pages are set, fixed and removed like everything else."),
    Requirement("bootstrap.keys", "RFC 7518 section 3.1", "Each algorithm of the file has an active key."),
    Requirement("compose.local", "ours", "Compose publishes on 127.0.0.1 only, and no management port."),
    Requirement("compose.hardened", "ours", "Every service of ours has no capability and a read-only file system."),
    Requirement("compose.settings", "ours", "Compose hands every setting of the server through."),
    Requirement("compose.access_file", "ours", "ACCESS_FILE counts for all that compose starts, in each of its files."),
    Requirement("compose.misspelt", "ours", "A misspelt name in .env is a warning of the bootstrap."),
    Requirement("compose.no_secret", "ours", "Neither the compose file nor an image holds a secret."),
)
