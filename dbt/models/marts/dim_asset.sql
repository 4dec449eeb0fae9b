with prices as (
    select
        asset_hk, observed_at, row_version, hashdiff, payload_width, price, market_cap,
        cast(null as varchar) as company_name
    from {{ ref('sat_asset_price_crypto') }}
    union all
    select asset_hk, observed_at, row_version, hashdiff, payload_width, price, market_cap, company_name
    from {{ ref('sat_asset_price_stock') }}
),

newest as (
    select * from {{ current_rows('prices', ['asset_hk']) }} newest_price
),

newest_cap as (
    select * from {{ current_rows('prices', ['asset_hk'], 'market_cap is not null') }} newest_market_cap
)

select
    hub.asset_hk,
    hub.asset_symbol,
    hub.asset_type,
    cast(coalesce(info.name, newest.company_name, hub.asset_symbol) as varchar) as asset_name,
    cast(info.sector as varchar) as asset_category,
    newest_cap.market_cap as asset_market_cap,
    newest.price as last_price,
    newest.observed_at as last_observed_at,
    {{ as_type('info.symbol is not null', 'flag') }} as is_listed,
    hub.record_source,
    hub.load_timestamp,
    hub.package_id
from {{ ref('hub_asset') }} hub
left join {{ ref('asset_info') }} info on hub.asset_symbol = info.symbol and hub.asset_type = info.asset_class
left join newest on hub.asset_hk = newest.asset_hk
left join newest_cap on hub.asset_hk = newest_cap.asset_hk
