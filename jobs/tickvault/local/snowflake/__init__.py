"""A Snowflake emulator: fakesnow's server, mended where a loader with transactions needs it.

``patches`` changes fakesnow itself, ``sessions`` ends what clients abandon, ``leftovers`` removes what loads leave
behind, ``server`` serves it with its data kept on disk, ``process`` runs it as a child for tests and the demo.
"""
