"""Privileges, limits and exposed data of the containers."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

_REACHES = """
import socket, sys
for host in sys.argv[1:]:
    try:
        socket.create_connection((host, 5432), 3).close()
        print(host)
    except OSError:
        pass
"""
_LASTING = ("database", "keycloak", "keycloak-2", "mcp-server", "mcp-server-2", "front")


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def test_no_more_is_open_than_required(production: Production) -> None:
    containers = production.containers()
    bound = {
        c["Config"]["Labels"]["com.docker.compose.service"]: sorted(
            b["HostPort"] for ports in (c["HostConfig"]["PortBindings"] or {}).values() for b in ports
        )
        for c in containers
    }
    assert bound.pop("front") == sorted([str(production.https_port), str(production.http_port)])
    assert set(map(tuple, bound.values())) == {()}
    for container in containers:
        service, host = container["Config"]["Labels"]["com.docker.compose.service"], container["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert container["Config"]["User"] not in {"", "0", "root"}, service
        assert host["Memory"] > 0, service


@pytest.mark.parametrize("service", _LASTING)
def test_a_process_in_a_container_has_no_right_and_can_get_none(production: Production, service: str) -> None:
    output = production.compose("exec", "-T", service, "cat", "/proc/1/status").stdout
    status = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split()


@pytest.mark.parametrize("service", ["mcp-server", "mcp-server-2"])
def test_the_server_does_not_reach_the_database(production: Production, service: str) -> None:
    networks = production.service("database")["NetworkSettings"]["Networks"]
    addresses = [network["IPAddress"] for network in networks.values()]
    assert addresses
    assert production.compose("exec", "-T", service, "python", "-c", _REACHES, "database", *addresses).stdout == ""


def test_no_secret_is_shown_by_the_engine_the_images_the_processes_or_the_logs(production: Production) -> None:
    current = [
        secret for service in ("replace-admin", "bootstrap") for secret in production.secrets_of(service).values()
    ]
    current.append(production.password_file.read_text().strip())
    assert len(set(current)) == 6  # of the deleted administrator, three service accounts, the server and the database
    containers = production.containers()
    images = {container["Image"] for container in containers}
    running = [container["Id"] for container in containers if container["State"]["Running"]]
    displayed = {
        "inspect": json.dumps(containers),
        "images": "".join(_docker("history", "--no-trunc", image) + _docker("inspect", image) for image in images),
        "processes": "".join(_docker("top", container, "-eo", "pid,args") for container in running),
        "logs": production.compose("logs").stdout,
        "configuration": production.compose("--profile", "tools", "config").stdout,
    }
    assert [where for where, text in displayed.items() if any(secret in text for secret in current)] == []
    assert not re.search(r"eyJ[\w-]{20,}\.[\w-]{20,}", "".join(displayed.values()))
