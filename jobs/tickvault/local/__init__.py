"""Engines and servers as processes of this machine, for the demo and tests."""
