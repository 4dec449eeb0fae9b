"""The demo: the whole platform on this machine, over a few simulated days."""
