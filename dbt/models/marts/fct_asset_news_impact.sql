with closes as (
    select
        asset_hk, price_date, case when is_usd then close_price end as close_price, adj_close_price, volatility_20
    from {{ ref('fct_asset_indicators') }}
    where is_primary
)

select
    news.news_event_hk,
    news.news_hk,
    news.asset_hk,
    news.asset_symbol,
    news.published_at,
    news.published_date,
    news.title,
    {{ as_type('day_before.close_price', 'float') }} as close_before,
    {{ as_type('same_day.close_price', 'float') }} as close_same_day,
    {{ as_type('day_after.close_price', 'float') }} as close_1d_after,
    {{ as_type('week_after.close_price', 'float') }} as close_7d_after,
    {{ as_type('same_day.adj_close_price / nullif(day_before.adj_close_price, 0) - 1', 'float') }} as return_same_day,
    {{ as_type('day_after.adj_close_price / nullif(day_before.adj_close_price, 0) - 1', 'float') }} as return_1d,
    {{ as_type('week_after.adj_close_price / nullif(day_before.adj_close_price, 0) - 1', 'float') }} as return_7d,
    {{ as_type(
        '(same_day.adj_close_price / nullif(day_before.adj_close_price, 0) - 1) / nullif(day_before.volatility_20, 0)', 'float'
    ) }} as return_same_day_in_volatilities,
    news.record_source,
    news.load_timestamp,
    news.package_id
from {{ ref('fct_news_events') }} news
{%- for name, days in {'day_before': -1, 'same_day': 0, 'day_after': 1, 'week_after': 7}.items() %}
left join closes {{ name }}
    on news.asset_hk = {{ name }}.asset_hk
    and {{ name }}.price_date = cast({{ dbt.dateadd('day', days, 'news.published_date') }} as date)
{%- endfor %}
