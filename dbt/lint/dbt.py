"""Stand-ins for dbt's own cross-database macros, so that sqlfluff can render models without a connection."""


def dateadd(datepart: str, interval: object, moment: str) -> str:
    return f"dateadd({datepart}, {interval}, {moment})"


def datediff(start: str, end: str, datepart: str) -> str:
    return f"datediff({datepart}, {start}, {end})"
