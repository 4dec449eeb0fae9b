-- Days without a bar between two bars of a series. A coin trades every day; a stock on the days on which more than half
-- of the other stocks in its currency, with bars before and after, have one: each exchange has its own holidays.
with bars as (
    select
        asset_hk, asset_symbol, asset_type, source, quote_currency, price_date,
        lead(price_date) over (partition by asset_hk, source order by price_date) as next_date
    from {{ ref('fct_asset_prices') }}
    where price_kind = 'bar' and dq_status = 'passed'
),

numbers as (
    {{ dbt.generate_series(4096) }}
),

holes as (
    select bars.*, {{ dbt.datediff('price_date', 'next_date', 'day') }} as days
    from bars
    where next_date > {{ dbt.dateadd('day', 1, 'price_date') }}
),

missing as (
    select
        holes.asset_hk,
        holes.asset_symbol,
        holes.asset_type,
        holes.source,
        holes.quote_currency,
        cast({{ dbt.dateadd('day', 'cast(numbers.generated_number as integer)', 'holes.price_date') }} as date)
            as price_date,
        holes.price_date as bar_before,
        holes.next_date as bar_after
    from holes
    inner join numbers on numbers.generated_number < holes.days
),

stocks as (
    select
        source, quote_currency, asset_hk,
        min(price_date) as first_date,
        max(price_date) as last_date
    from bars
    where asset_type = 'stock'
    group by source, quote_currency, asset_hk
),

missed_days as (
    select distinct source, quote_currency, price_date
    from missing
    where asset_type = 'stock'
),

trading_days as (
    select days.source, days.quote_currency, days.price_date
    from missed_days days
    inner join stocks
        on days.source = stocks.source
        and days.quote_currency = stocks.quote_currency
        and days.price_date between stocks.first_date and stocks.last_date
    left join bars
        on stocks.asset_hk = bars.asset_hk and stocks.source = bars.source and days.price_date = bars.price_date
    group by days.source, days.quote_currency, days.price_date
    having count(bars.asset_hk) * 2 > count(*) - 1
)

select
    cast({{ hash_columns({
        'missing.asset_hk': 'text', 'missing.source': 'text', 'missing.price_date': 'date'
    }) }} as varchar) as gap_hk,
    missing.asset_hk,
    missing.asset_symbol,
    missing.asset_type,
    missing.source,
    missing.price_date,
    missing.bar_before,
    missing.bar_after
from missing
left join trading_days
    on missing.source = trading_days.source
    and missing.quote_currency = trading_days.quote_currency
    and missing.price_date = trading_days.price_date
where missing.asset_type = 'crypto' or trading_days.price_date is not null
