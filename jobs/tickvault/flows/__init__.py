"""Flows: what runs together, in which order, on which schedule."""
