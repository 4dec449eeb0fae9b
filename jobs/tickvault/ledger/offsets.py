"""``data_platform.stream_offsets``: how far what streams load has come; it has offsets instead of packages."""

from tickvault.engines.postgres.connection import Connection


class Offsets:
    """The offsets of all topics."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def digest(self, sink: str) -> tuple[int, int]:
        """Return how many partitions a sink reads, and the sum of their offsets."""
        partitions, total = self._db.one(
            "SELECT count(*), coalesce(sum(next_offset), 0) FROM data_platform.stream_offsets WHERE sink LIKE %s",
            f"{sink}%",
        )
        return int(partitions), int(total)
