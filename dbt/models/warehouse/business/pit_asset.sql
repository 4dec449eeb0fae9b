-- As of now: an asset, also one that only the rule of the news found, and the bar that named its company last.
{{ describe_pit('asset_hk', {'sat_asset_price_stock': 'asset_hk'}, {
    'asset_type': 'text', 'asset_symbol': 'text', 'record_source': 'text', 'package_id': 'text', 'load_timestamp': 'time',
}) }}

with named as (
    select asset_hk, asset_type, asset_symbol, record_source, package_id, load_timestamp, 0 as is_derived
    from {{ ref('hub_asset') }}
    union all
    select asset_hk, 'crypto' as asset_type, asset_symbol, record_source, package_id, load_timestamp, 1 as is_derived
    from {{ ref('link_news_asset') }}
    where asset_symbol is not null
),

assets as (
    select
        named.*,
        row_number() over (partition by asset_hk order by is_derived, load_timestamp, package_id) as arrival
    from named
    where {{ is_no_ghost('asset_hk') }}
)

select
    assets.asset_hk,
    cast(assets.asset_type as varchar) as asset_type,
    assets.asset_symbol,
    {{ pointer('companies', 'sat_asset_price_stock', 'asset_hk') }},
    assets.record_source,
    assets.package_id,
    assets.load_timestamp
from assets
left join {{ current_rows(ref('sat_asset_price_stock'), ['asset_hk'], 'company_name is not null') }} companies
    on assets.asset_hk = companies.asset_hk
where assets.arrival = 1
