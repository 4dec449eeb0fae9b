"""Reading what is there: statements, a relation by its name, the newest prices, a whole relation as a file."""
