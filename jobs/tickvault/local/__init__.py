"""Engines and servers as child processes of this machine, for the demo and tests."""
