"""What is traded: the streams of the platform's own tables, and the symbols."""
