-- Quotes: every observed moment. Bars: one per series and day, in their newest version.
with prices as (
    select
        asset_hk, source, price_kind, observed_at, price_date, quote_currency, open_price, high_price, low_price,
        price, price as adj_close_price, volume, market_cap, row_version, hashdiff, payload_width, record_source,
        load_timestamp, package_id
    from {{ ref('sat_asset_price_crypto') }}
    union all
    select
        asset_hk, source, price_kind, observed_at, price_date, cast(null as varchar) as quote_currency, open_price,
        high_price, low_price, price, adj_close_price, volume, market_cap, row_version, hashdiff, payload_width,
        record_source, load_timestamp, package_id
    from {{ ref('sat_asset_price_stock') }}
),

valid as (
    select *, cast(null as timestamp(6)) as quoted_at
    from {{ current_rows('prices', ['asset_hk', 'source', 'price_date'], "price_kind = 'bar'") }} bars
    union all
    select *, observed_at as quoted_at
    from {{ states('prices', ['asset_hk', 'source', 'price_date'], "price_kind = 'quote'") }} quotes
)

select
    cast({{ hash_columns({
        'valid.asset_hk': 'text', 'valid.source': 'text', 'valid.price_kind': 'text', 'valid.price_date': 'date',
        'valid.quoted_at': 'time',
    }) }} as varchar) as price_hk,
    valid.asset_hk,
    hub.asset_symbol,
    hub.asset_type,
    valid.source,
    valid.price_kind,
    valid.price_date,
    valid.observed_at,
    valid.quote_currency,
    valid.open_price,
    valid.high_price,
    valid.low_price,
    valid.price as close_price,
    {{ as_type('coalesce(valid.adj_close_price, valid.price)', 'number') }} as adj_close_price,
    valid.volume,
    valid.market_cap,
    valid.record_source,
    valid.load_timestamp,
    valid.package_id
from valid
inner join {{ ref('hub_asset') }} hub on valid.asset_hk = hub.asset_hk
