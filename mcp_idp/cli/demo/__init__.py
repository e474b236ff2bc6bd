"""The demo without Docker: a small identity provider (nanoidp) and this server, both on loopback, for one run.

`cli` tells the story, `config` writes what the provider needs, `children` starts and ends both processes.
"""
