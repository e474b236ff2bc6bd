"""Dex and its front: what they are told, as files, and the proof that they do it."""
