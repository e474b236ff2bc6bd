"""An MCP server that takes its tokens from a real identity provider."""

__version__ = "0.1.0"
