-- A suspect price is nobody's last one; one in USD goes before one in another currency, however new.
with prices as (
    select
        asset_hk, asset_type, quote_currency, is_usd, close_price, market_cap, observed_at,
        cast(observed_at as date) as price_day,
        row_number() over (
            partition by asset_hk
            order by case when is_usd then 0 else 1 end, observed_at desc, load_timestamp desc, price_hk
        ) as age,
        row_number() over (
            partition by asset_hk
            order by case when market_cap is null then 1 else 0 end, observed_at desc, load_timestamp desc, price_hk
        ) as cap_age
    from {{ ref('fct_asset_prices') }}
    where dq_status = 'passed'
),

newest as (
    select asset_type, max(price_day) as price_day
    from prices
    group by asset_type
)

select
    hub.asset_hk,
    hub.asset_symbol,
    hub.asset_type,
    cast(coalesce(info.name, bars.company_name, hub.asset_symbol) as varchar) as asset_name,
    cast(info.sector as varchar) as asset_category,
    caps.market_cap as asset_market_cap,
    {{ as_type('case when latest.is_usd then latest.close_price end', 'price') }} as last_price,
    latest.quote_currency,
    latest.observed_at as last_observed_at,
    {{ as_type(dbt.datediff('latest.price_day', 'newest.price_day', 'day'), 'integer') }} as days_behind,
    {{ as_type('info.symbol is not null', 'flag') }} as is_listed,
    hub.record_source,
    hub.load_timestamp,
    hub.package_id
from {{ ref('pit_asset') }} hub
inner join {{ ref('sat_asset_price_stock') }} bars
    on {{ points_to('hub', 'sat_asset_price_stock', 'bars', 'asset_hk') }}
left join {{ ref('asset_info') }} info on hub.asset_symbol = info.symbol and hub.asset_type = info.asset_class
left join prices latest on hub.asset_hk = latest.asset_hk and latest.age = 1
left join prices caps on hub.asset_hk = caps.asset_hk and caps.cap_age = 1
left join newest on hub.asset_type = newest.asset_type
