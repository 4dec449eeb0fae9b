"""Tickvault: a stock and crypto data platform.

What ran once counts once, only what passed is published, and a run never lies.
"""
