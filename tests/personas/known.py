"""All the clients that are replayed, in the order of the table."""

from __future__ import annotations

from tests.personas.hosted_clients import CHATGPT, CHATGPT_PER_CONNECTOR, CLAUDE_AI
from tests.personas.libraries import MCP_REMOTE, PYTHON_SDK, TYPESCRIPT_SDK_1, TYPESCRIPT_SDK_2
from tests.personas.programs import (
    CLAUDE_CODE,
    CLAUDE_CODE_WITHOUT_SCOPE,
    CODEX,
    CURSOR,
    GOOSE,
    INSPECTOR,
    INSPECTOR_0,
    INSPECTOR_CLI,
    VSCODE,
)

PERSONAS = {
    persona.name: persona
    for persona in (
        VSCODE,
        CLAUDE_CODE,
        CLAUDE_CODE_WITHOUT_SCOPE,
        CURSOR,
        INSPECTOR,
        INSPECTOR_CLI,
        INSPECTOR_0,
        CODEX,
        GOOSE,
        MCP_REMOTE,
        PYTHON_SDK,
        TYPESCRIPT_SDK_1,
        TYPESCRIPT_SDK_2,
        CLAUDE_AI,
        CHATGPT,
        CHATGPT_PER_CONNECTOR,
    )
}
