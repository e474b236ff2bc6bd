"""Dex and its registration proxy: renders their files and verifies the result."""
