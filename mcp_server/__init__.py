"""The MCP server of this stack: edit `tools.py`. It uses the library `mcp_idp` by its public names only."""

__version__ = "0.1.0"
