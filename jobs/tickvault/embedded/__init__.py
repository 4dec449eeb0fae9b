"""Engines that run inside the virtual environment, without Docker and without installation."""
