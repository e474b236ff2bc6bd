"""The demo without Docker: an embedded identity provider (nanoidp) and this server on loopback, for one run.

`scenario` runs the demo, `nanoidp_config` writes the provider's configuration, `processes` starts and stops both.
"""
