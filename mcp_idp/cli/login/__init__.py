"""The narrated client: it logs in at an MCP server as any MCP client does, and says what happens and why.

`cli` reads the command line, `journey` goes the eight steps, `watch` turns the real HTTP exchange into narration.
"""
