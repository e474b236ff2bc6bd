"""Step 8: lists the server's tools and calls them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError

from mcp_idp.cli.common.errors import ToolCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp import Client
    from mcp_types import CallToolResult, Tool

    from mcp_idp.cli.common.console import StepReporter

# Called by default: harmless, and present in every deployment of this server's own tools.
DEFAULT_TOOLS = ("whoami", "greet", "get_time")
# Pydantic, which validates arguments in the SDK's servers, adds this link for developers to each error.
_MAX_TOOLS = 1000
_MAX_PAGES = 100
_FURTHER = re.compile(r"(?<!\s)\s*For further information visit https://errors\.pydantic\.dev/\S+")


@dataclass(frozen=True, slots=True)
class Call:
    """A requested tool call.

    Attributes:
        tool: The tool's name.
        arguments: Names and values as text, not yet converted to the types of the tool's schema.
    """

    tool: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A completed tool call.

    Attributes:
        tool: The tool's name.
        arguments: The arguments that were sent.
        text: The result as text.
    """

    tool: str
    arguments: dict[str, Any]
    text: str

    def as_json(self) -> dict[str, Any]:
        """Returns the object for `--json`: `tool`, `arguments` and `text`."""
        return asdict(self)


def parse_call(parts: Sequence[str]) -> Call:
    """Parses the values of `--call`: `NAME key=value …`.

    Raises:
        ValueError: An argument is not of the form `key=value`.
    """
    name, *pairs = parts
    arguments = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ValueError(f"--call {name}: '{pair}' is not key=value")
        arguments.append((key, value))
    return Call(name, tuple(arguments))


def check_required(call: Call, schema: dict[str, Any]) -> None:
    """Checks that the call has all required arguments.

    Args:
        call: The requested call.
        schema: The tool's JSON input schema.

    Raises:
        ToolCallError: A required argument is missing.
    """
    provided = {key for key, _ in call.arguments}
    missing = [name for name in schema.get("required", ()) if name not in provided]
    if missing:
        which = f"the argument {missing[0]} is" if len(missing) == 1 else f"the arguments {', '.join(missing)} are"
        example = " ".join([*(f"{key}={value}" for key, value in call.arguments), *(f"{name}=…" for name in missing)])
        raise ToolCallError(f"{call.tool}: {which} missing", f"give it: --call {call.tool} {example}")


def typed_arguments(call: Call, schema: dict[str, Any]) -> dict[str, Any]:
    """Converts the arguments to the types of the tool's schema: strings stay text, other types are parsed as JSON.

    Args:
        call: The requested call.
        schema: The tool's JSON input schema.

    Raises:
        ToolCallError: A value is not valid JSON.
    """
    properties = schema.get("properties", {})
    arguments: dict[str, Any] = {}
    for key, text in call.arguments:
        kind = properties.get(key, {}).get("type", "string")
        if kind == "string":
            arguments[key] = text
            continue
        try:
            arguments[key] = json.loads(text)
        except ValueError as error:
            raise ToolCallError(f"{call.tool}: {key}={text} is not of type {kind}") from error
    return arguments


async def list_tools(client: Client, narrator: StepReporter) -> list[Tool]:
    """Fetches all pages of the tool list, and prints each tool with the first line of its description.

    Raises:
        ToolCallError: The list has too many tools or pages.
    """
    tools: list[Tool] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        listed = await client.list_tools(cursor=cursor)
        tools += listed.tools
        cursor = listed.next_cursor
        if not cursor or len(tools) > _MAX_TOOLS:
            break
    if cursor or len(tools) > _MAX_TOOLS:
        raise ToolCallError(
            f"the server's list of tools does not end: more than {_MAX_TOOLS} tools or {_MAX_PAGES} pages"
        )
    narrator.line("response", f"{len(tools)} {'tool' if len(tools) == 1 else 'tools'}:")
    for tool in tools:
        summary = narrator.secrets.redact_remote_text((tool.description or tool.title or "").strip().partition("\n")[0])
        narrator.line("response", f"  {tool.name}  {summary}".rstrip())
    return tools


def default_calls(tools: list[Tool], user: str) -> list[Call]:
    """Returns the calls to make if none is requested: the available `DEFAULT_TOOLS` that require at most a name.

    Args:
        tools: The tools that the server lists.
        user: The value for an argument `name`.
    """
    there = {tool.name: tool for tool in tools}
    calls = []
    for name in (name for name in DEFAULT_TOOLS if name in there):
        schema = there[name].input_schema
        has_name_parameter = "name" in schema.get("properties", {})
        if set(schema.get("required", ())) <= {"name"}:
            calls.append(Call(name, (("name", user),) if has_name_parameter else ()))
    return calls


async def call_tool(client: Client, narrator: StepReporter, tools: list[Tool], call: Call) -> Result:
    """Makes a call and prints its result.

    Args:
        client: The MCP client.
        narrator: Receives the call and the result.
        tools: The tools that the server lists.
        call: The requested call.

    Raises:
        ToolCallError: There is no such tool, the server rejected the call, or the tool returned an error.
    """
    tool = next((tool for tool in tools if tool.name == call.tool), None)
    if tool is None:
        raise ToolCallError(f"the server lists no tool '{call.tool}'", f"it lists: {', '.join(t.name for t in tools)}")
    check_required(call, tool.input_schema)
    arguments = typed_arguments(call, tool.input_schema)
    narrator.line("request", f"{call.tool} {json.dumps(arguments, ensure_ascii=False)}")
    try:
        result = await client.call_tool(call.tool, arguments)
    except MCPError as error:
        raise ToolCallError(
            f"the call of {call.tool} failed: {narrator.secrets.redact_remote_text(str(error))}"
        ) from error
    text = narrator.secrets.redact_remote_text(_text(result))
    if result.is_error:
        raise ToolCallError(f"{call.tool} reports an error: {without_links(text)}")
    narrator.line("response", text)
    return Result(call.tool, arguments, text)


def without_links(text: str) -> str:
    """Returns the text of an error without Pydantic's links."""
    return _FURTHER.sub("", text)


def _text(result: CallToolResult) -> str:
    parts = [getattr(part, "text", f"[{part.type}]") for part in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    text = " ".join(parts)
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)  # the SDK's servers indent JSON; print it on one line
    except ValueError:
        return text
