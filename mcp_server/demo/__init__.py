"""The parts of the demo tools outside `tools.py`; delete this package together with the demo tools."""
