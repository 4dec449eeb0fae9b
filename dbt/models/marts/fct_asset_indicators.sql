-- Everything but the close and the total return is computed from the adjusted close: neither a dividend nor a split is
-- a loss. The close itself is what a share was worth that day. A suspect bar is left out. A series has one currency,
-- and dollar coins are dollars: a source that changes its currency begins another series.
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
        cast(dividends as double precision) as dividends,
        cast(stock_splits as double precision) as stock_splits,
        share_factor,
        dense_rank() over (
            partition by asset_hk
            order by
                case when is_usd then 0 else 1 end,
                case
                    {%- for name in var('bar_sources') %}
                    when source like '{{ name }}%' then {{ loop.index }}
                    {%- endfor %}
                    else 99
                end,
                source
        ) as preference
    from {{ ref('fct_asset_prices') }}
    where price_kind = 'bar' and dq_status = 'passed'
),

-- The primary source of a day is the best one of those that have begun by then: one that begins later changes no day
-- before it.
chosen as (
    select
        bars.*,
        min(preference) over (
            partition by asset_hk, source order by price_date range between unbounded preceding and current row
        ) = min(preference) over (
            partition by asset_hk order by price_date range between unbounded preceding and current row
        ) as is_primary,
        row_number() over (partition by asset_hk, source, money order by price_date desc) as age
    from bars
),

series as (
    select
        chosen.*,
        row_number() over (partition by asset_hk, source, money order by price_date) as bar,
        lag(adj_close_price) over (partition by asset_hk, source, money order by price_date) as close_before,
        lag(close_price * share_factor) over (partition by asset_hk, source, money order by price_date) as worth_before
    from chosen
    where age <= {{ var('indicator_bars') }}
),

moves as (
    select
        series.*,
        adj_close_price / nullif(close_before, 0) - 1 as daily_return,
        (close_price + coalesce(dividends, 0)) * share_factor / nullif(worth_before, 0) - 1 as total_return,
        ln(nullif(adj_close_price, 0) / nullif(close_before, 0)) as log_return,
        case when adj_close_price > close_before then adj_close_price - close_before
            when close_before is not null then 0 end as gain,
        case when adj_close_price < close_before then close_before - adj_close_price
            when close_before is not null then 0 end as loss,
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
    {{ as_type('is_primary', 'flag') }} as is_primary,
    {{ as_type('bar', 'integer') }} as bar,
    quote_currency,
    is_usd,
    {{ as_type('close_price', 'float') }} as close_price,
    {{ as_type('adj_close_price', 'float') }} as adj_close_price,
    {{ as_type('dividends', 'float') }} as dividends,
    {{ as_type('stock_splits', 'float') }} as stock_splits,
    {{ as_type('share_factor', 'float') }} as share_factor,
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
    {{ as_type('total_return', 'float') }} as total_return,
    {{ as_type('adj_close_price / nullif(first_close, 0) - 1', 'float') }} as cumulative_return,
    {{ as_type('adj_close_price / nullif(peak, 0) - 1', 'float') }} as drawdown
from signals
