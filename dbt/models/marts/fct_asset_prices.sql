-- Quotes: every observed moment. Bars: one per series and day, in their newest version.
with prices as (
    select
        asset_hk, source, price_kind, observed_at, price_date, quote_currency, price_unit, open_price, high_price,
        low_price, price, price as adj_close_price, volume, market_cap, row_version, hashdiff, payload_width,
        record_source, load_timestamp, package_id
    from {{ ref('sat_asset_price_crypto') }}
    union all
    select
        asset_hk, source, price_kind, observed_at, price_date, quote_currency,
        cast(null as {{ sql_type('number') }}) as price_unit, open_price, high_price, low_price, price, adj_close_price,
        volume, market_cap, row_version, hashdiff, payload_width, record_source, load_timestamp, package_id
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
        asset_hk,
        source,
        price_kind,
        price_date,
        quoted_at,
        observed_at,
        {{ major_currency('quote_currency') }} as quote_currency,
        coalesce(price_unit, 1) as price_unit,
        {%- for name in ['open_price', 'high_price', 'low_price', 'price'] %}
        {{ in_major(name, 'quote_currency') }} as {{ name }},
        {%- endfor %}
        {{ in_major('coalesce(adj_close_price, price)', 'quote_currency') }} as adj_close_price,
        volume,
        market_cap,
        record_source,
        load_timestamp,
        package_id
    from valid
),

classed as (
    select
        converted.*,
        {{ means_usd('quote_currency') }} as is_usd,
        price is not null and price > 0 and adj_close_price > 0 as is_positive
    from converted
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
    {{ as_type('case when judged.is_usd and judged.market_cap > 0 then judged.market_cap end', 'number') }}
        as market_cap,
    judged.record_source,
    judged.load_timestamp,
    judged.package_id,
    cast(case when judged.dq_reasons is null then 'passed' else 'suspect' end as varchar) as dq_status,
    cast(judged.dq_reasons as varchar) as dq_reasons
from judged
inner join {{ ref('hub_asset') }} hub on judged.asset_hk = hub.asset_hk
