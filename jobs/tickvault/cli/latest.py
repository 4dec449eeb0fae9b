"""``tickvault latest``: what assets cost now."""

from dataclasses import asdict
from datetime import timedelta

import click

from tickvault.cli.options import asking, json_option, show


@click.command()
@click.argument("symbols", nargs=-1)
@json_option
def command(symbols: tuple[str, ...], as_json: bool) -> None:
    """Show the newest price of each of SYMBOLS that passed the gates, of all assets where none is named.

    The change is that since the last price of an earlier day. Times are UTC.

    \b
    Examples:
      tickvault latest BTC AAPL
      tickvault latest --json
    """
    from tickvault.query.latest import latest

    with asking() as settings:
        prices, moment = latest(settings, symbols), settings.now()
    if as_json:
        told = [asdict(p) | {"age_seconds": round((moment - p.observed_at).total_seconds())} for p in prices]
        show([list(one.values()) for one in told], list(told[0]) if told else [], as_json=True)
        return
    columns = ("symbol", "price", "currency", "change", "since", "age", "observed at, UTC", "source")
    rows = [
        (
            p.symbol,
            f"{p.price.normalize():,f}",
            p.currency,
            "" if p.change_percent is None else f"{p.change_percent:+.2f} %",
            p.since,
            _age(moment - p.observed_at),
            f"{p.observed_at:%Y-%m-%d %H:%M:%S}",
            p.source,
        )
        for p in prices
    ]
    show(rows, columns, as_json=False)


def _age(age: timedelta) -> str:
    """Write an age with its two largest units."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 0:
        return "from the future"
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
