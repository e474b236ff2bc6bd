"""Behind Caddy, a limit counts the address of the client: one who floods does not use up the others' requests."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.production.deployment import MCP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

# Runs in a container of the stack's network, which has an address of its own there. Without end, where `count` is 0.
_CLIENT = f"""
import http.client, itertools, ssl, sys, threading
from collections import Counter
count, over, seen = int(sys.argv[1]), threading.Event(), Counter()
context = ssl._create_unverified_context()

class Connection(http.client.HTTPSConnection):
    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = context.wrap_socket(self.sock, server_hostname="{MCP}")

def send(number):
    connection = Connection("front", 8443, timeout=60)
    for n in range(count) if count else itertools.count():
        if over.is_set():
            return
        forged = f"198.51.{{number}}.{{n % 250}}"
        headers = {{"Host": "{MCP}", "X-Forwarded-For": forged, "Forwarded": f"for={{forged}}", "X-Real-IP": forged}}
        connection.request("GET", "/mcp", headers=headers)
        response = connection.getresponse()
        response.read()
        seen[response.status] += 1
        if response.status == 429 and seen[429] == 1:
            print("limited", flush=True)

threads = [threading.Thread(target=send, args=(n,)) for n in range(1 if count else 4)]
for thread in threads:
    thread.start()
if not count:
    sys.stdin.read()
    over.set()
for thread in threads:
    thread.join()
print(dict(seen))
"""


def _client(production: Production, service: str, count: int) -> list[str]:
    container = production.service(service)["Id"]
    return ["docker", "exec", "-i", container, "python", "-c", _CLIENT, str(count)]


@contextmanager
def _flood(production: Production) -> Iterator[subprocess.Popen[str]]:
    """Sends requests without a token until the block ends, which begins when the first is rejected."""
    words = _client(production, "mcp-server", 0)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.readline() == "limited\n"
        yield running
        running.stdin.close()
        running.stdin = None
        assert "429" in running.stdout.read()


@pytest.mark.requirement("production.limits")
def test_one_address_that_floods_with_forged_headers_is_limited_and_no_other_is(production: Production) -> None:
    with _flood(production):
        other = subprocess.run(
            _client(production, "mcp-server-2", 30),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout == "{401: 30}\n"


@pytest.mark.requirement("production.limits")
def test_a_user_who_is_logged_in_calls_tools_while_somebody_floods(production: Production) -> None:
    _, tokens = production.tokens()
    assert production.call(tokens["access_token"]) == 200
    with _flood(production):
        assert [production.call(tokens["access_token"]) for _ in range(10)] == [200] * 10
