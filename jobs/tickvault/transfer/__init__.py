"""The way of the data: from a source into the lake, from the lake into a target, and rejects once more."""
