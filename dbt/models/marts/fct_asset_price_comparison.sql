{%- set spread = 'cast(highest_price as double precision) - cast(lowest_price as double precision)' %}
{%- set divergence = '100 * (' ~ spread ~ ') / nullif(average_price, 0)' %}
-- The last quote in USD of each source on each day, side by side.
with quotes as (
    select
        prices.*,
        row_number() over (
            partition by asset_hk, price_date, source order by observed_at desc, price_hk
        ) as age
    from {{ ref('fct_asset_prices') }} prices
    where price_kind = 'quote' and is_usd and close_price > 0
),

compared as (
    select
        asset_hk,
        asset_symbol,
        asset_type,
        price_date,
        count(*) as source_count,
        {%- for name in ['binance', 'coingecko', 'yfinance', 'freecryptoapi'] %}
        max(case when record_source like '%cryptoprices_{{ name }}' then close_price end) as price_{{ name }},
        {%- endfor %}
        min(close_price) as lowest_price,
        max(close_price) as highest_price,
        avg(cast(close_price as double precision)) as average_price,
        min(observed_at) as first_observed_at,
        max(observed_at) as last_observed_at
    from quotes
    where age = 1
    group by asset_hk, asset_symbol, asset_type, price_date
)

select
    cast({{ hash_columns({'asset_hk': 'text', 'price_date': 'date'}) }} as varchar) as comparison_hk,
    asset_hk,
    asset_symbol,
    asset_type,
    price_date,
    {{ as_type('source_count', 'integer') }} as source_count,
    {%- for name in ['binance', 'coingecko', 'yfinance', 'freecryptoapi'] %}
    {{ as_type('price_' ~ name, 'price') }} as price_{{ name }},
    {%- endfor %}
    {{ as_type('lowest_price', 'price') }} as lowest_price,
    {{ as_type('highest_price', 'price') }} as highest_price,
    {{ as_type('average_price', 'float') }} as average_price,
    {{ as_type(divergence, 'float') }} as divergence_percent,
    {{ as_type('first_observed_at', 'time') }} as first_observed_at,
    {{ as_type('last_observed_at', 'time') }} as last_observed_at,
    cast(case when {{ divergence }} > {{ var('divergence_band_percent') }} then 'suspect' else 'passed' end as varchar)
        as dq_status
from compared
