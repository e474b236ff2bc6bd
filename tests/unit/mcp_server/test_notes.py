"""The demo tools with state, and those without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcp_idp.principal import Principal
from mcp_server.demo.notes import NoteRejected, NoteStore
from tests.support.app import running
from tests.support.mcp_calls import events, initialized, legacy_call

pytestmark = pytest.mark.anyio
WRITER: dict[str, Any] = {"scope": "mcp:tools mcp:notes.write", "mcp_roles": ["mcp-writer"]}


def _text(response: Any) -> str:
    return str(events(response)[-1]["result"]["content"][0]["text"])


async def test_a_thousand_interleaved_calls_of_two_users_are_not_mixed_up_in_the_notes() -> None:
    async with running() as server:
        tokens = {user: server.issuer.token(sub=user, **WRITER) for user in ("ada", "bob")}
        sessions = {user: await initialized(server, token) for user, token in tokens.items()}

        async def add_and_list(user: str, number: int) -> None:
            if number % 10 == 0:
                await server.call("note_add", tokens[user], {"text": f"{user} {number}"})
            elif number % 2:
                response = await legacy_call(server, sessions[user], "note_list")
                stored = events(response)[-1]["result"]["structuredContent"]["result"]
                assert {note.split()[0] for note in stored} <= {user}
            else:
                response = await server.call("whoami", tokens[user])
                assert events(response)[-1]["result"]["structuredContent"]["subject"] == user

        await asyncio.gather(*(add_and_list(user, n) for n in range(500) for user in tokens))
        for user, token in tokens.items():
            stored = events(await server.call("note_list", token))[-1]["result"]["structuredContent"]["result"]
            assert sorted(stored) == sorted(f"{user} {n}" for n in range(0, 500, 10))
        other_user = {**sessions["ada"], "authorization": f"Bearer {tokens['bob']}"}
        assert (await legacy_call(server, other_user, "note_list")).status_code == 404


def test_a_subject_is_a_user_of_its_issuer_only() -> None:
    notes = NoteStore()
    first, theirs = (Principal(issuer, "ada", "c", frozenset(), 2e9) for issuer in ("https://a", "https://b"))
    notes.add(first, "mine")
    assert (notes.list_for(first), notes.list_for(theirs)) == (["mine"], [])
    notes.list_for(first).append("not kept")
    assert notes.list_for(first) == ["mine"]


def test_notes_are_bounded_per_user_and_by_the_number_of_users() -> None:
    notes = NoteStore(max_per_user=1, max_users=1)
    ada, bob, without_subject = (Principal("https://a", sub, "c", frozenset(), 2e9) for sub in ("ada", "bob", None))
    assert notes.add(ada, "one") == 1
    for principal, fault in ((ada, "at most 1 notes"), (bob, "too many users"), (without_subject, "no user")):
        with pytest.raises(NoteRejected, match=fault):
            notes.add(principal, "two")
    assert (notes.list_for(without_subject), notes.counts()) == ([], (1, 1))


async def test_a_note_too_many_is_a_tool_error() -> None:
    async with running() as server:
        token = server.issuer.token(sub=..., **WRITER)
        result = events(await server.call("note_add", token, {"text": "x"}))[-1]["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"].startswith("Error executing tool note_add: the note was not stored")


@pytest.mark.parametrize(
    ("operation", "b", "text"),
    [
        ("add", 3, "Result of add 6 and 3: 9"),
        ("subtract", 3, "Result of subtract 6 and 3: 3"),
        ("multiply", 0.5, "Result of multiply 6 and 0.5: 3"),
        ("divide", 4, "Result of divide 6 and 4: 1.5"),
        ("divide", 0, "Error: Division by zero"),
        ("divide", 1e-308, "Error: The result is too large"),
    ],
)
async def test_the_calculator_answers(operation: str, b: float, text: str) -> None:
    async with running() as server:
        response = await server.call("calculator", server.issuer.token(), {"operation": operation, "a": 6, "b": b})
    assert (response.status_code, _text(response)) == (200, text)
    assert events(response)[-1]["result"]["isError"] is text.startswith("Error")


async def test_the_weather_is_a_sandstorm() -> None:
    async with running() as server:
        response = await server.call("weather", server.issuer.token(), {"location": "Arrakeen"})
    expected = {"location": "Arrakeen", "condition": "sandstorm", "temperature_celsius": 20}
    assert events(response)[-1]["result"]["structuredContent"] == expected


async def test_an_administrator_counts_notes_and_reads_none() -> None:
    async with running() as server:
        await server.call("note_add", server.issuer.token(**WRITER), {"text": "private"})
        admin = server.issuer.token(sub="root", scope="mcp:admin", mcp_roles=["mcp-admin"])
        counted = events(await server.call("note_count", admin))[-1]["result"]["structuredContent"]
        listed = events(await server.call("note_list", admin))[-1]["result"]["structuredContent"]
    assert counted == {"users": 1, "notes": 1}
    assert listed == {"result": []}
