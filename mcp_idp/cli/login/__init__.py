"""The explaining client: logs in at an MCP server like any MCP client, and prints what happens at each step and why.

`cli` reads the command line, `flow` runs the eight steps, `http_tracer` prints the actual HTTP requests and responses.
"""
