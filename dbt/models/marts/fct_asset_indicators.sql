-- Everything is computed from the adjusted close: a dividend is no loss. The close itself is what a holding is worth.
-- A suspect bar is left out. A series has one currency, that of its newest bar, and dollar coins are dollars.
with bars as (
    select
        asset_hk,
        asset_symbol,
        asset_type,
        source,
        price_date,
        quote_currency,
        is_usd,
        case when is_usd then 'USD' else quote_currency end as money,
        cast(close_price as double precision) as close_price,
        cast(adj_close_price as double precision) as adj_close_price,
        row_number() over (partition by asset_hk, source order by price_date desc) as age,
        case
            {%- for name in var('bar_sources') %}
            when source like '{{ name }}%' then {{ loop.index }}
            {%- endfor %}
            else 99
        end as source_rank
    from {{ ref('fct_asset_prices') }}
    where price_kind = 'bar' and dq_status = 'passed'
),

latest as (
    select asset_hk, source, money
    from bars
    where age = 1
),

series as (
    select
        bars.*,
        row_number() over (partition by bars.asset_hk, bars.source order by bars.price_date) as bar,
        lag(bars.adj_close_price)
            over (partition by bars.asset_hk, bars.source order by bars.price_date) as close_before,
        first_value(bars.source) over (
            partition by bars.asset_hk
            order by case when bars.is_usd then 0 else 1 end, bars.source_rank, bars.source
            rows between unbounded preceding and unbounded following
        ) as primary_source
    from bars
    inner join latest
        on bars.asset_hk = latest.asset_hk and bars.source = latest.source and bars.money = latest.money
    where bars.age <= {{ var('indicator_bars') }}
),

moves as (
    select
        series.*,
        adj_close_price / nullif(close_before, 0) - 1 as daily_return,
        ln(nullif(adj_close_price, 0) / nullif(close_before, 0)) as log_return,
        greatest(adj_close_price - close_before, 0) as gain,
        greatest(close_before - adj_close_price, 0) as loss,
        max(adj_close_price) {{ over_bars('unbounded preceding') }} as peak,
        first_value(adj_close_price) {{ over_bars('unbounded preceding') }} as first_close
    from series
),

windows as (
    select
        moves.*,
        {{ rolling('avg', 'adj_close_price', 7) }} as sma_7,
        {{ rolling('avg', 'adj_close_price', 12) }} as sma_12,
        {{ rolling('avg', 'adj_close_price', 20) }} as sma_20,
        {{ rolling('avg', 'adj_close_price', 26) }} as sma_26,
        {{ rolling('avg', 'adj_close_price', 50) }} as sma_50,
        {{ rolling('stddev_pop', 'adj_close_price', 20) }} as deviation_20,
        {{ rolling('stddev_samp', 'log_return', 20, first=21) }} as volatility_20,
        {{ rolling('avg', 'gain', 14, first=15) }} as first_gain,
        {{ rolling('avg', 'loss', 14, first=15) }} as first_loss
    from moves
),

averages as (
    select
        windows.*,
        {{ exponential('adj_close_price', 2 / 13, 12, 'sma_12') }} as ema_12,
        {{ exponential('adj_close_price', 2 / 27, 26, 'sma_26') }} as ema_26,
        {{ exponential('gain', 1 / 14, 15, 'first_gain') }} as average_gain,
        {{ exponential('loss', 1 / 14, 15, 'first_loss') }} as average_loss
    from windows
),

macd_seeds as (
    select
        averages.*,
        ema_12 - ema_26 as macd,
        {{ rolling('avg', '(ema_12 - ema_26)', 9, first=34) }} as first_signal
    from averages
),

signals as (
    select
        macd_seeds.*,
        {{ exponential('macd', 2 / 10, 34, 'first_signal') }} as macd_signal
    from macd_seeds
)

select
    cast({{ hash_columns({'asset_hk': 'text', 'source': 'text', 'price_date': 'date'}) }} as varchar) as indicator_hk,
    asset_hk,
    asset_symbol,
    asset_type,
    source,
    price_date,
    {{ as_type('source = primary_source', 'flag') }} as is_primary,
    {{ as_type('bar', 'integer') }} as bar,
    quote_currency,
    is_usd,
    {{ as_type('close_price', 'float') }} as close_price,
    {{ as_type('adj_close_price', 'float') }} as adj_close_price,
    {{ as_type('sma_7', 'float') }} as sma_7,
    {{ as_type('sma_20', 'float') }} as sma_20,
    {{ as_type('sma_50', 'float') }} as sma_50,
    {{ as_type('ema_12', 'float') }} as ema_12,
    {{ as_type('ema_26', 'float') }} as ema_26,
    {{ as_type('case when average_loss = 0 then 100 else 100 - 100 / (1 + average_gain / average_loss) end', 'float') }}
        as rsi_14,
    {{ as_type('macd', 'float') }} as macd,
    {{ as_type('macd_signal', 'float') }} as macd_signal,
    {{ as_type('macd - macd_signal', 'float') }} as macd_histogram,
    {{ as_type('sma_20', 'float') }} as bollinger_middle,
    {{ as_type('sma_20 + 2 * deviation_20', 'float') }} as bollinger_upper,
    {{ as_type('sma_20 - 2 * deviation_20', 'float') }} as bollinger_lower,
    {{ as_type('volatility_20', 'float') }} as volatility_20,
    {{ as_type('daily_return', 'float') }} as daily_return,
    {{ as_type('adj_close_price / nullif(first_close, 0) - 1', 'float') }} as cumulative_return,
    {{ as_type('adj_close_price / nullif(peak, 0) - 1', 'float') }} as drawdown
from signals
