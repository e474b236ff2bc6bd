"""All client profiles, in the order of the table."""

from __future__ import annotations

from tests.client_compat.hosted_clients import CHATGPT, CHATGPT_PER_CONNECTOR, CLAUDE_AI
from tests.client_compat.native_clients import (
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
from tests.client_compat.sdk_clients import MCP_REMOTE, PYTHON_SDK, TYPESCRIPT_SDK_1, TYPESCRIPT_SDK_2

PROFILES = {
    profile.name: profile
    for profile in (
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
