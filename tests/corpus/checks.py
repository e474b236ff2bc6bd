"""The checks that stop the attacks, each with the change to its source that takes it away.

What a library of ours does (the HTTP parser, the JSON decoder) counts as a check where we ask for it to be strict.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Attributes: the file, the text that is there exactly once, and what stands there without the check."""

    file: str
    text: str
    without: str


def _if(file: str, condition: str, without: str = "False") -> Check:
    return Check(f"mcp_idp/{file}", f"if {condition}:", f"if {without}:")


def _text(file: str, text: str, without: str) -> Check:
    return Check(f"mcp_idp/{file}", text, without)


JWT, CLAIMS, GRANTED = "tokens/jwt.py", "tokens/claims.py", "tokens/claims.py"
KEYS, KEY_SET = "tokens/jwks.py", "tokens/jwks.py"
INTROSPECTED, INTROSPECTION, FETCH = "tokens/introspection.py", "tokens/introspection.py", "oauth/http.py"
_TOKEN = {
    "token_length": _if(JWT, "len(token) > self._max_bytes"),
    "compact_shape": _if(JWT, "_JWS.fullmatch(token) is None"),
    "header_length": _if(JWT, "len(segment) > _MAX_HEADER_CHARACTERS"),
    "algorithm_list": _if(JWT, "not isinstance(algorithm, str) or algorithm not in ALGORITHMS"),
    "critical_extensions": _if(JWT, '"crit" in header or "b64" in header'),
    "kid_text": _if(JWT, "kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _MAX_KID_CHARACTERS)"),
    "header_type": _if(JWT, 'not isinstance(named, str) or named.lower().removeprefix("application/") not in accepted'),
    "signature": _if(JWT, "not holds"),
    "one_spelling": _if(JWT, 'urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode("ascii")'),
    "json_object": _if(JWT, "not isinstance(value, dict)"),
    "issuer": _if(CLAIMS, "issuer != rules.issuer and not (isinstance(issuer, str) and issuer in rules.aliases)"),
    "audience": _text(CLAIMS, "or rules.audience not in listed", "or not listed"),
    "audience_texts": _text(CLAIMS, "not all(isinstance(entry, str) for entry in listed) or rules", "rules"),
    "clients_without_audience": _if(CLAIMS, "client not in rules.clients"),
    "expiry_required": _text(
        CLAIMS,
        'raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected="exp", got=None)',
        "return now + rules.max_lifetime",
    ),
    "expired": _if(CLAIMS, "expires_at + rules.leeway <= now"),
    "not_before": _if(CLAIMS, "not_before is not None and not_before - rules.leeway > now"),
    "issued_at": _if(CLAIMS, "issued_at is not None and issued_at - rules.leeway > now"),
    "lifetime": _if(CLAIMS, "lifetime > rules.max_lifetime"),
    "numeric_dates": _text(
        CLAIMS,
        "    if isinstance(value, bool) or not isinstance(value, int | float):",
        "    value = float(value)\n    if False:",
    ),
    "boolean_dates": _text(CLAIMS, "isinstance(value, bool) or not", "not"),
    "date_range": _if(CLAIMS, "not 0 <= value <= _MAX_NUMERIC_DATE"),
    "sender_bound": _if(CLAIMS, '"cnf" in claims'),
    "events": _if(CLAIMS, '"events" in claims'),
    "token_type": _if(CLAIMS, "not isinstance(kind, str | None) or kind not in accepted"),
    "access_mark": _if(
        CLAIMS, "claim_names and all(_string_claim(claims, claim_name) is None for claim_name in claim_names)"
    ),
    "user": _if(CLAIMS, "not has_end_user and client not in rules.service_clients"),
    "text_claims": _if(CLAIMS, "not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT"),
    "text_lists": _if(GRANTED, "not isinstance(value, list) or not all(isinstance(entry, str) for entry in value)"),
}
_USERS = {
    "roles_decide": _if(CLAIMS, "rules.profile.scopes_from_roles and roles is not None"),
    "scopes_narrow": _text(
        GRANTED,
        "return granted & narrower if narrower or (requested and not has_audience) else granted",
        "return granted | narrower",
    ),
    "roles_of_ours": _text(
        "providers/self_hosted.py", "urn:zitadel:iam:org:project:{}:roles", "urn:zitadel:iam:org:project:roles"
    ),
    "no_roles": _text(GRANTED, "frozenset() if profile.scopes_from_roles else None", "None"),
}
_PROVIDER = {
    "key_known": _text(
        KEY_SET,
        "return self._keys.get((kid, algorithm))",
        "return self._keys.get((kid, algorithm)) or next(iter(self._keys.values()), None)",
    ),
    "one_key_without_kid": _text(KEY_SET, "fitting[0] if len(fitting) == 1 else None", "fitting[-1]"),
    "key_algorithm": _text(KEYS, "return candidates if named is None else tuple(", "return candidates or tuple("),
    "key_use": _text(KEYS, 'use is None or use == "sig"', "True"),
    "key_operations": _text(KEYS, '"verify" in operations', "operations"),
    "private_key": _text(KEYS, 'and "d" not in jwk', "and True"),
    "one_key_a_kid": _text(KEYS, " if name not in ambiguous}", "}"),
    "key_length": _if(KEYS, "isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS"),
    "unreadable_keys": _text(
        KEYS, "except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):", "except ZeroDivisionError:"
    ),
    "issuer_keys": _text(
        "tokens/issuers.py", "unverified_issuer(token, self._max_bytes), self.primary", '"", self.primary'
    ),
    "metadata_issuer": _if("oauth/discovery.py", "named != issuer"),
    "no_way_inside": _if(
        "oauth/discovery.py", 'is_private(found.hostname or "") and not is_private(requested.hostname or "")'
    ),
    "no_downgrade": _if("oauth/discovery.py", 'found.scheme == "http" and requested.scheme == "https"'),
    "active_is_true": _if(INTROSPECTED, "active is not True"),
    "inactive": _if(INTROSPECTED, "active is False"),
    "dpop_answer": _if(INTROSPECTED, 'kind == "dpop"'),
    "answer_type": _if(INTROSPECTED, 'kind is not None and kind != "bearer"'),
    "answer_subject": _if(
        INTROSPECTION, "jwt_principal is not None and principal.subject not in {None, jwt_principal.subject}"
    ),
    "answer_status": _if(FETCH, "response.status_code not in statuses"),
    "answer_size": _if(FETCH, "len(body) > max_bytes"),
    "answer_object": _if("oauth/endpoints.py", "not isinstance(response, dict)"),
    "opaque_form": _if("tokens/introspection.py", "_B64TOKEN.fullmatch(token) is None"),
}
_JSON = {
    "duplicate_members": _if("util/strict_json.py", "len(document) != len(pairs)"),
    "no_constants": _text("util/strict_json.py", 'raise StrictJsonError(f"{name} is not JSON")', "return None"),
    "finite_numbers": _if("util/strict_json.py", "not isfinite(number)"),
    "number_length": _text("util/strict_json.py", "MAX_NUMBER_CHARACTERS = 400", "MAX_NUMBER_CHARACTERS = 5_000_000"),
    "utf8_only": _text(
        "util/strict_json.py",
        'document.decode("utf-8")',
        'document.decode(json.detect_encoding(document), "replace")',
    ),
    "whole_characters": _if("util/strict_json.py", "_SURROGATE.search(document) is not None"),
    "values_bound": _if("util/strict_json.py", "count > max_values"),
    "depth_bound": _if(
        "util/strict_json.py",
        "max(accumulate(map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS))), default=0) > MAX_DEPTH",
    ),
    "json_errors": _text(
        "util/strict_json.py", "except (ValueError, RecursionError) as", "except ZeroDivisionError as"
    ),
}
_REQUEST = {
    "one_header": _if("auth/bearer.py", "len(authorization) > 1"),
    "one_token": _if("auth/bearer.py", '"," in token or " " in token or "\\t" in token'),
    "empty_token": _if("auth/bearer.py", "not token"),
    "scheme": _if("auth/bearer.py", 'scheme.lower() != "bearer"'),
    "header_only": _text(
        "auth/middleware.py",
        'if name == b"authorization":',
        'if name in {b"authorization", b"cookie", b"proxy-authorization", b"x-forwarded-access-token"}:',
    ),
    "host": _text("http/router.py", "self._transport_security.is_allowed_host(hosts[0])", "bool(hosts)"),
    "one_host": _text("http/router.py", "len(hosts) == 1 and", "not hosts or"),
    "host_whole": _text("http/transport_security.py", "_LOOPBACK_HOST.fullmatch(", "_LOOPBACK_HOST.match("),
    "origin": _text("auth/middleware.py", "or not self._transport_security.is_allowed_origin(origins[0])", "or False"),
    "one_origin": _text("auth/middleware.py", "if len(origins) != 1 or not", "if not"),
    "origin_whole": _text("http/transport_security.py", "_LOOPBACK_ORIGIN.fullmatch(", "_LOOPBACK_ORIGIN.match("),
    "preflight_method": _text("auth/middleware.py", 'return scope["method"] == "OPTIONS" and any(', "return any("),
    "every_method": _text(
        "auth/middleware.py",
        '        origins, authorization = _origin_and_authorization(scope["headers"])\n',
        '        origins, authorization = _origin_and_authorization(scope["headers"])\n'
        '        if scope["method"] != "POST":\n            return await self._app(scope, receive, send)\n',
    ),
    "scope_needed": _if("auth/scopes.py", "not missing", "True"),
    "role_needed": _if("auth/scopes.py", "principal.roles.isdisjoint(roles)"),
    "tool_listed": _if(
        "auth/scopes.py", "self._access.lists_tools and not (isinstance(name, str) and name in self.tools)"
    ),
    "tool_scope": _if("auth/middleware.py", "not caller.effective_scopes.issuperset(required)"),
    "session_subject": _text("auth/context.py", "subject=principal.subject,", 'subject="everybody",'),
    "session_client": _text("auth/context.py", 'client_id=principal.client or "",', 'client_id="any",'),
    "session_issuer": _text("auth/context.py", 'claims={"iss": principal.issuer},', 'claims={"iss": "any"},'),
    "one_message": _if("http/body.py", "not isinstance(document, dict)"),
    "body_length": _if("http/body.py", "len(body) > MAX_BODY_BYTES"),
    "initialize_length": _text("http/body.py", "and len(body) > MAX_INITIALIZE_BYTES", "and False"),
    "id_length": _text("http/body.py", "and len(request_id) > MAX_ID_CHARACTERS", "and False"),
}
_WIRE = {
    "strict_parser": _text(
        "http_server/protocol.py",
        "        self._state = _BETWEEN\n        self._state_changes = 0",
        "        self.parser.set_dangerous_leniencies(lenient_headers=True, lenient_chunked_length=True)\n"
        "        self._state = _BETWEEN\n        self._state_changes = 0",
    ),
    "one_coding": _if(
        "http_server/limits.py",
        '[value.lower() for name, value in headers if name == b"transfer-encoding"] != [b"chunked"]',
    ),
    "old_chunked": _text("http_server/limits.py", "raise RequestRejected(CHUNKED_IN_HTTP10)", "pass"),
    "one_host_on_the_wire": _text("http_server/limits.py", "elif hosts != 1:", "elif False:"),
    "target_host": _if(
        "http_server/limits.py",
        '[value.lower() for name, value in headers if name == b"host"] != [parts.netloc.lower()]',
    ),
    "target_scheme": _if("http_server/limits.py", 'parts.scheme not in {b"http", b"https"} or not parts.netloc'),
    "target_fragment": _if("http_server/limits.py", 'b"#" in target'),
    "no_tunnel": _if("http_server/limits.py", 'method == b"CONNECT"'),
    "version": _if("http_server/limits.py", 'version != "1.0"'),
    "header_count": _if("http_server/limits.py", "len(headers) > limits.header_count"),
    "header_count_of_a_part": _text(
        "http_server/protocol.py", "elif len(self.headers or ()) > self.limits.header_count:", "elif False:"
    ),
    "waiting_bytes": _text("http_server/connections.py", "while self.waiting > self.most_waiting:", "while False:"),
    "header_bytes": _text(
        "http_server/limits.py", "header_bytes: int = 32 * 1024", "header_bytes: int = 32 * 1024 * 1024"
    ),
    "deadline": _text(
        "http_server/protocol.py", "call_later(seconds, self._on_deadline)", "call_later(3600, self._on_deadline)"
    ),
    "declared_body": _if("http_server/limits.py", "length > limits.body_bytes"),
    "counted_body": _if("http_server/protocol.py", "self._body_bytes > self.limits.body_bytes"),
    "chunk_extensions": _if("http_server/protocol.py", "self._chunk_overhead_budget < 0"),
    "trailers": _text("http_server/protocol.py", "self.headers = []  #", "pass  #"),
    "upgrade": _text("http_server/protocol.py", "if self._state == _BODY:  # llhttp has skipped it", "if False:  #"),
}
CHECKS = {**_TOKEN, **_USERS, **_PROVIDER, **_JSON, **_REQUEST, **_WIRE}
