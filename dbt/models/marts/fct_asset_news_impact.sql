with closes as (
    select
        asset_hk, source, price_date, quote_currency, is_usd, case when is_usd then close_price end as close_price,
        adj_close_price, volatility_20
    from {{ ref('fct_asset_indicators') }}
    where is_primary
),

around as (
    select
        news.*,
        {%- set days = {'same_day': 0, '1d_after': 1, '7d_after': 7} %}
        {%- for name in days %}
        bars_{{ name }}.close_price as close_{{ name }},
        case when {{ same_series('bars_' ~ name, 'bars_before') }}
            then bars_{{ name }}.adj_close_price / nullif(bars_before.adj_close_price, 0) - 1 end as return_{{ name }},
        {%- endfor %}
        bars_before.close_price as close_before,
        bars_before.volatility_20 as volatility_before
    from {{ ref('fct_news_events') }} news
    left join closes bars_before
        on news.asset_hk = bars_before.asset_hk
        and bars_before.price_date = cast({{ dbt.dateadd('day', -1, 'news.published_date') }} as date)
    {%- for name, ahead in days.items() %}
    left join closes bars_{{ name }}
        on news.asset_hk = bars_{{ name }}.asset_hk
        and bars_{{ name }}.price_date = cast({{ dbt.dateadd('day', ahead, 'news.published_date') }} as date)
    {%- endfor %}
)

select
    news_event_hk,
    news_hk,
    asset_hk,
    asset_symbol,
    published_at,
    published_date,
    title,
    {{ as_type('close_before', 'float') }} as close_before,
    {{ as_type('close_same_day', 'float') }} as close_same_day,
    {{ as_type('close_1d_after', 'float') }} as close_1d_after,
    {{ as_type('close_7d_after', 'float') }} as close_7d_after,
    {{ as_type('return_same_day', 'float') }} as return_same_day,
    {{ as_type('return_1d_after', 'float') }} as return_1d,
    {{ as_type('return_7d_after', 'float') }} as return_7d,
    {{ as_type('return_same_day / nullif(volatility_before, 0)', 'float') }} as return_same_day_in_volatilities,
    record_source,
    load_timestamp,
    package_id
from around
