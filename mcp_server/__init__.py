"""The MCP server of this stack: edit `tools.py`. It uses only the public names of the library `mcp_idp`."""

__version__ = "0.1.0"
