"""The demo's provider names itself in authorization responses (RFC 9207), as some clients require."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.cli.demo.nanoidp_config import write_provider
from mcp_idp.cli.demo.provider import with_issuer

ROOT = Path(__file__).parents[4]
ISSUER = "http://localhost:9010"
# In a process of its own, because there can be only one such application per process.
PROGRAM = f"""
import json, sys
from mcp_idp.cli.demo.provider import create_provider
browser = create_provider(sys.argv[1], {ISSUER!r}).test_client()
names = ("openid-configuration", "oauth-authorization-server")
metadata = [browser.get(f"/.well-known/{{name}}").json for name in names]
redirect = "http://127.0.0.1:7001/callback"
client = browser.post("/register", json={{"redirect_uris": [redirect], "token_endpoint_auth_method": "none"}}).json
query = {{"response_type": "code", "client_id": client["client_id"], "redirect_uri": redirect, "state": "s",
          "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}}
page = browser.get("/authorize", query_string={{**query, "scope": "mcp:tools"}})
user = {{"username": "reader", "password": "reader"}}
granted = browser.post("/authorize", query_string={{**query, "scope": "mcp:tools"}}, data=user)
refused = browser.get("/authorize", query_string={{**query, "scope": "unknown"}})
print(json.dumps({{
    "advertised": [document["authorization_response_iss_parameter_supported"] for document in metadata],
    "issuers": [document["issuer"] for document in metadata],
    "page": [page.status_code, page.location], "granted": granted.location, "refused": refused.location,
}}))
"""


def test_it_advertises_iss_and_sends_it_with_a_code_and_with_an_error(tmp_path: Path) -> None:
    directory = write_provider(load_access(ROOT / "idp-config" / "access.yaml"), 9010, tmp_path)
    command = [sys.executable, "-c", PROGRAM, str(directory)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout.splitlines()[-1])
    assert seen["advertised"] == [True, True]
    assert seen["issuers"] == [ISSUER, ISSUER]
    assert seen["page"] == [200, None]
    for location, name in ((seen["granted"], "code"), (seen["refused"], "error")):
        parameters = parse_qs(urlsplit(location).query)
        assert parameters["iss"] == [ISSUER]
        assert parameters["state"] == ["s"]
        assert parameters[name]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://127.0.0.1:7001/cb?code=a%2Bb&state=s", "http://127.0.0.1:7001/cb?code=a%2Bb&state=s&iss={}"),
        ("http://localhost:1/?own=1&error=invalid_scope", "http://localhost:1/?own=1&error=invalid_scope&iss={}"),
        ("cursor://anysphere.cursor-mcp/cb?code=a", "cursor://anysphere.cursor-mcp/cb?code=a&iss={}"),
        ("http://localhost:1/?empty=&code=a", "http://localhost:1/?empty=&code=a&iss={}"),
        # no authorization responses, or complete ones
        ("/login?error=wrong+password", "/login?error=wrong+password"),
        (f"{ISSUER}/login?code=a", f"{ISSUER}/login?code=a"),
        ("http://localhost:1/cb", "http://localhost:1/cb"),
        ("http://localhost:1/cb?state=code", "http://localhost:1/cb?state=code"),
        ("https://a.example/cb?code=a&iss=x", "https://a.example/cb?code=a&iss=x"),
    ],
)
def test_iss_is_added_to_authorization_responses_only(location: str, expected: str) -> None:
    assert with_issuer(location, ISSUER) == expected.format("http%3A%2F%2Flocalhost%3A9010")
