"""A rolling upgrade to a new image, and build-time options.

By its name this file runs last: it leaves the stack with another image and another registration profile.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.cimd_server import Documents, serving_documents, write_certificates
from tests.support.compose_stack import REPOSITORY
from tests.support.keycloak.realm import claims
from tests.support.production.background_load import at_work
from tests.support.production.deployment import ISSUER, UP, URL, USER
from tests.support.production.runbook import commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

_HOST = "clients.example"


@pytest.fixture
def documents(production: Production, tmp_path: Path) -> Iterator[Documents]:
    """Serves client metadata documents on a host that Keycloak trusts, with an access file that names it."""
    write_certificates(tmp_path, (_HOST,))
    content = yaml.safe_load((REPOSITORY / "idp-config" / "access.production.yaml").read_text(encoding="utf-8"))
    content["registration"] = {"profile": "cimd", "max_clients": 2000, "document_domains": [_HOST]}
    (tmp_path / "access.yaml").write_text(yaml.safe_dump(content))
    trusting = {
        "environment": {"KC_TRUSTSTORE_PATHS": "/run/documents/ca.pem"},
        "extra_hosts": [f"{_HOST}:host-gateway"],
        "volumes": [f"{tmp_path}:/run/documents:ro"],
    }
    services = {"keycloak": trusting, "keycloak-2": trusting}
    (tmp_path / "documents.yml").write_text(json.dumps({"services": services}))
    before = dict(production.variables)
    production.variables["COMPOSE_FILE"] += os.pathsep + str(tmp_path / "documents.yml")
    production.variables["KC_FEATURES"] = "cimd"
    try:
        with serving_documents(tmp_path) as served:
            yield served
    finally:
        production.variables.clear()
        production.variables.update(before)


def test_a_new_image_takes_over_under_load_and_knows_client_id_documents(
    production: Production, documents: Documents, tmp_path: Path
) -> None:
    client_id, tokens = production.tokens()
    old = production.service("keycloak")["Image"]
    with at_work(production) as seen:
        for command in commands("Upgrade")[0].splitlines():
            production.run(command)
    assert seen.failed == []
    assert min(seen.done[what] for what in ("login", "refresh", "modern", "earlier")) > 0
    images = {production.service(name)["Image"] for name in ("keycloak", "keycloak-2")}
    assert len(images) == 1
    assert old not in images
    renewed = production.refreshed(client_id, tokens)
    assert renewed["status"] == 200, renewed

    production.variables["ACCESS_FILE"] = str(tmp_path / "access.yaml")
    production.compose(*UP)
    metadata = production.request("GET", f"{ISSUER}/.well-known/openid-configuration").json()
    assert metadata["client_id_metadata_document_supported"] is True
    assert production.realm.register(redirect_uris=["http://127.0.0.1/callback"])["status"] == 403
    document = documents.publish(_HOST, "/client.json", redirect_uris=["http://127.0.0.1/callback"])
    response = production.realm.log_in(USER, document, scope="mcp:tools")
    assert (claims(response["access_token"])["azp"], claims(response["access_token"])["aud"]) == (document, URL)
    assert production.call(response["access_token"]) == 200
