"""One way to answer a name that is not known."""

from collections.abc import Iterable


def suggestion(
    name: str,
    known: Iterable[str],
    otherwise: str | None = None,
    *,
    most: int = 1,
    cutoff: float = 0.6,
    quoted: bool = True,
) -> str:
    """Return «did you mean 'x'?» where something known comes near, else what there is.

    Args:
        name: What was asked for.
        known: What there is, in the order it is to be listed.
        otherwise: What to say instead of the list where nothing comes near.
        most: How many names to suggest at most.
        cutoff: How near a name has to come, of 1.
        quoted: Whether suggested names stand in quotes.
    """
    import difflib  # only a mistake needs it

    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=most, cutoff=cutoff)
    if near:
        return f"did you mean {' or '.join(map(repr, near) if quoted else near)}?"
    return f"there are: {', '.join(listed)}" if otherwise is None else otherwise
