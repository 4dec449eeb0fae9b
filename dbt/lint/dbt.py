"""Stand-ins for dbt's own cross-database macros, so that sqlfluff can render models without a connection."""
# ruff: noqa: INP001 - sqlfluff loads it by its folder


def dateadd(datepart: str, interval: object, moment: str) -> str:
    """Return the text sqlfluff is to see."""
    return f"dateadd({datepart}, {interval}, {moment})"


def datediff(start: str, end: str, datepart: str) -> str:
    """Return the text sqlfluff is to see."""
    return f"datediff({datepart}, {start}, {end})"


def generate_series(upper_bound: int) -> str:
    """Return the text sqlfluff is to see."""
    return f"select {upper_bound} as generated_number"


def date_trunc(datepart: str, moment: str) -> str:
    """Return the text sqlfluff is to see."""
    return f"date_trunc('{datepart}', {moment})"
