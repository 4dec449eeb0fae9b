"""The wire formats of the providers, over HTTP, with faults to switch on."""
