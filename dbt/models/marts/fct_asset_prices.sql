-- Quotes: every observed moment. Bars: one per series and day, in their newest version. Prices are those of their day:
-- a stock's are multiplied back by the splits that its reading was adjusted for (a reading from before the source said
-- which: by all later ones), and what an older reading is adjusted for is brought to what is known now.
{%- set moment = "case when price_kind = 'quote' then observed_at end" %}
{%- set by = ['asset_hk', 'source', 'price_kind', 'price_date', moment] %}
with prices as (
    select
        asset_hk, source, price_kind, observed_at, price_date, quote_currency, price_unit, open_price, high_price,
        low_price, price, price as adj_close_price, cast(1 as {{ sql_type('price') }}) as split_factor, volume,
        quote_volume, cast(null as {{ sql_type('number') }}) as dividends,
        cast(null as {{ sql_type('number') }}) as stock_splits, {{ last_known('market_cap', by) }} as market_cap,
        cast(null as {{ sql_type('number') }}) as pe_ratio, cast(null as {{ sql_type('price') }}) as week_52_high,
        cast(null as {{ sql_type('price') }}) as week_52_low, cast(null as {{ sql_type('number') }}) as avg_volume,
        {{ counts_in_quote_currency('source') }} as is_quote_volume,
        row_version, hashdiff, payload_width, record_source, load_timestamp, package_id
    from {{ ref('sat_asset_price_crypto') }}
    union all
    select
        asset_hk, source, price_kind, observed_at, price_date, quote_currency,
        cast(null as {{ sql_type('number') }}) as price_unit, open_price, high_price, low_price, price, adj_close_price,
        split_factor, volume, cast(null as {{ sql_type('number') }}) as quote_volume, dividends, stock_splits,
        {%- for name in ['market_cap', 'pe_ratio', 'week_52_high', 'week_52_low', 'avg_volume'] %}
        {{ last_known(name, by) }} as {{ name }},
        {%- endfor %}
        false as is_quote_volume,
        row_version, hashdiff, payload_width, record_source, load_timestamp, package_id
    from {{ ref('sat_asset_price_stock') }}
),

valid as (
    select *, cast(null as timestamp(6)) as quoted_at
    from {{ revised_rows('prices', ['asset_hk', 'source', 'price_date'], "price_kind = 'bar'") }} bars
    union all
    select *, observed_at as quoted_at
    from {{ states('prices', ['asset_hk', 'source', 'price_date'], "price_kind = 'quote'") }} quotes
),

converted as (
    select
        valid.asset_hk,
        valid.source,
        price_kind,
        price_date,
        quoted_at,
        observed_at,
        {{ major_currency('quote_currency') }} as quote_currency,
        coalesce(price_unit, 1) as price_unit,
        {%- set prices = ['open_price', 'high_price', 'low_price', 'price'] %}
        {%- for name in prices + ['week_52_high', 'week_52_low'] %}
        {{ in_major(name, 'quote_currency') }} as {{ name }},
        {%- endfor %}
        {{ in_major('coalesce(adj_close_price, price)', 'quote_currency') }} as adj_close_price,
        {{ in_major('dividends', 'quote_currency', 'number') }} as dividends,
        case when is_quote_volume then null else volume end as volume,
        case when is_quote_volume then coalesce(quote_volume, volume) else quote_volume end as quote_volume,
        stock_splits,
        market_cap,
        pe_ratio,
        avg_volume,
        coalesce(splits.share_factor, 1) as share_factor,
        nullif(split_factor, 0) as told_factor,
        {{ exact_factor('(coalesce(newest.share_factor, 1) / coalesce(splits.share_factor, 1))') }} as known_factor,
        valid.record_source,
        valid.load_timestamp,
        valid.package_id
    from valid
    {{ splits_until('valid', 'price_date') }}
    left join {{ ref('fct_asset_splits') }} newest
        on valid.asset_hk = newest.asset_hk and newest.valid_to = cast('9999-12-31' as date)
),

factored as (
    select
        converted.*,
        {{ quotient('1', 'read_factor') }} as volume_factor,
        {{ quotient('read_factor', 'known_factor') }} as adjusted_factor
    from (
        select converted.*, coalesce(told_factor, known_factor) as read_factor
        from converted
    ) converted
),

traded as (
    select
        asset_hk, source, price_kind, price_date, quoted_at, observed_at, quote_currency, price_unit, stock_splits,
        {%- for name in ['open_price', 'high_price', 'low_price', 'price'] %}
        {{ rescaled(name, 'read_factor', 'price') }} as {{ name }},
        {%- endfor %}
        {{ rescaled('dividends', 'read_factor', 'number') }} as dividends,
        {{ rescaled('adj_close_price', 'adjusted_factor', 'price') }} as adj_close_price,
        {{ rescaled('volume', 'volume_factor', 'number') }} as volume,
        quote_volume, share_factor, market_cap, pe_ratio, week_52_high, week_52_low, avg_volume,
        record_source, load_timestamp, package_id
    from factored
),

classed as (
    select
        traded.*,
        {{ means_usd('quote_currency') }} as is_usd,
        price is not null and price > 0 and adj_close_price > 0 as is_positive
    from traded
),

-- The last quote of each source on each day, and how many of the day's sources lie within the band of it.
last_quotes as (
    select asset_hk, source, price_date, observed_at, is_usd, quote_currency, cast(price as double precision) as price
    from (
        select
            classed.*,
            row_number() over (
                partition by asset_hk, source, price_date, is_usd, case when not is_usd then quote_currency end
                order by observed_at desc
            ) as age
        from classed
        where price_kind = 'quote' and is_positive
    ) ranked
    where age = 1
),

agreement as (
    select
        mine.asset_hk,
        mine.source,
        mine.price_date,
        mine.observed_at,
        count(*) as source_count,
        sum(
            case
                when 100 * abs(mine.price - other.price)
                    <= {{ as_type(var('divergence_band_percent'), 'float') }} * (mine.price + other.price) / 2 then 1
                else 0
            end
        ) as agreeing_count
    from last_quotes mine
    inner join last_quotes other
        on mine.asset_hk = other.asset_hk
        and mine.price_date = other.price_date
        and mine.is_usd = other.is_usd
        and (mine.is_usd or mine.quote_currency = other.quote_currency)
    group by mine.asset_hk, mine.source, mine.price_date, mine.observed_at
),

judged as (
    select
        classed.*,
        {{ dq_reasons([
            ('no_price', 'not classed.is_positive'),
            ('sources_diverge', 'agreement.agreeing_count * 2 <= agreement.source_count'),
        ]) }} as dq_reasons
    from classed
    left join agreement
        on classed.price_kind = 'quote'
        and classed.asset_hk = agreement.asset_hk
        and classed.source = agreement.source
        and classed.price_date = agreement.price_date
        and classed.observed_at = agreement.observed_at
)

select
    cast({{ hash_columns({
        'judged.asset_hk': 'text', 'judged.source': 'text', 'judged.price_kind': 'text', 'judged.price_date': 'date',
        'judged.quoted_at': 'time',
    }) }} as varchar) as price_hk,
    judged.asset_hk,
    hub.asset_symbol,
    hub.asset_type,
    judged.source,
    judged.price_kind,
    judged.price_date,
    judged.observed_at,
    judged.quote_currency,
    {{ as_type('judged.price_unit', 'number') }} as price_unit,
    {{ as_type('judged.is_usd', 'flag') }} as is_usd,
    judged.open_price,
    judged.high_price,
    judged.low_price,
    judged.price as close_price,
    judged.adj_close_price,
    judged.volume,
    judged.quote_volume,
    {{ as_type('judged.dividends', 'number') }} as dividends,
    judged.stock_splits,
    {{ as_type('judged.share_factor', 'float') }} as share_factor,
    {{ as_type('case when judged.is_usd and judged.market_cap > 0 then judged.market_cap end', 'number') }}
        as market_cap,
    judged.pe_ratio,
    judged.week_52_high,
    judged.week_52_low,
    judged.avg_volume,
    judged.record_source,
    judged.load_timestamp,
    judged.package_id,
    cast(case when judged.dq_reasons is null then 'passed' else 'suspect' end as varchar) as dq_status,
    cast(judged.dq_reasons as varchar) as dq_reasons
from judged
inner join {{ ref('hub_asset') }} hub on judged.asset_hk = hub.asset_hk
