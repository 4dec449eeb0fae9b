"""Looking after a running platform: what can be reached, what is called running and is not, what may go."""
