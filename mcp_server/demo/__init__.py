"""The demo behind `tools.py`: delete it with the tools you replace."""
