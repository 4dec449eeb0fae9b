"""What everything that talks to Snowflake (or its emulator) shares: connecting, names and types, and the set-up."""
