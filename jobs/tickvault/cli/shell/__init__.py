"""The shell of ``tickvault sql``: what is typed, what is offered, what is shown."""
