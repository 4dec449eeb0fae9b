"""Reading what is there: one statement, a relation by its name, a whole relation as a file."""
