-- What is an amount is in USD or null; what is a ratio is there in every currency.
{%- set money = "is_usd, case when not is_usd then quote_currency end" %}
{%- set series = "partition by asset_hk, source, " ~ money ~ " order by price_date" %}
with series as (
    select
        bars.*,
        lag(adj_close_price, 7) over ({{ series }}) as close_7_before,
        lag(adj_close_price, 30) over ({{ series }}) as close_30_before
    from {{ ref('fct_asset_indicators') }} bars
),

bars as (
    select series.*, row_number() over (partition by asset_hk order by price_date desc) as age
    from series
    where is_primary
),

-- What a source said on the day itself: a later market value stands on no earlier bar.
caps as (
    select asset_hk, price_date, market_cap
    from (
        select
            asset_hk, price_date, market_cap,
            row_number() over (
                partition by asset_hk, price_date order by observed_at desc, load_timestamp desc, price_hk
            ) as age
        from {{ ref('fct_asset_prices') }}
        where dq_status = 'passed' and market_cap is not null
    ) reported
    where age = 1
),

traded as (
    select
        asset_hk,
        transaction_date,
        count(*) as transaction_count,
        sum(cast(transaction_amount as decimal(38,10))) as transaction_amount
    from {{ ref('fct_transactions') }}
    group by asset_hk, transaction_date
),

reported as (
    select asset_hk, published_date, count(*) as news_count
    from {{ ref('fct_news_events') }}
    group by asset_hk, published_date
)

select
    bars.indicator_hk as performance_hk,
    bars.asset_hk,
    bars.asset_symbol,
    assets.asset_name,
    bars.asset_type,
    assets.asset_category,
    {{ as_type('caps.market_cap', 'number') }} as asset_market_cap,
    bars.price_date,
    {{ as_type('bars.age = 1', 'flag') }} as is_latest,
    bars.source,
    bars.quote_currency,
    {{ only_usd('bars', 'close_price') }},
    {{ only_usd('bars', 'adj_close_price') }},
    {{ only_usd('bars', 'dividends') }},
    bars.stock_splits,
    bars.share_factor,
    bars.daily_return,
    bars.total_return,
    {{ as_type('bars.adj_close_price / nullif(bars.close_7_before, 0) - 1', 'float') }} as return_7_bars,
    {{ as_type('bars.adj_close_price / nullif(bars.close_30_before, 0) - 1', 'float') }} as return_30_bars,
    bars.cumulative_return,
    bars.drawdown,
    bars.volatility_20,
    {{ only_usd('bars', 'sma_20') }},
    {{ only_usd('bars', 'sma_50') }},
    bars.rsi_14,
    {{ only_usd('bars', 'macd') }},
    {{ only_usd('bars', 'macd_signal') }},
    {{ as_type('coalesce(traded.transaction_count, 0)', 'integer') }} as transaction_count,
    {{ as_type('coalesce(traded.transaction_amount, 0)', 'number') }} as transaction_amount,
    {{ as_type('coalesce(reported.news_count, 0)', 'integer') }} as news_count
from bars
inner join {{ ref('dim_asset') }} assets on bars.asset_hk = assets.asset_hk
left join caps on bars.asset_hk = caps.asset_hk and bars.price_date = caps.price_date
left join traded on bars.asset_hk = traded.asset_hk and bars.price_date = traded.transaction_date
left join reported on bars.asset_hk = reported.asset_hk and bars.price_date = reported.published_date
