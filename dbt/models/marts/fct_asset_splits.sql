-- A split is what the newest reading of its day says. Products go by logarithms and are rounded to nine digits, of two
-- reverse splits of 3 to 9 and not to 9.0000000018: sources write a third in ten digits.
{%- set by = ['asset_hk', 'source', 'price_date'] %}
with named as (
    select
        asset_hk, source, price_date as split_date, stock_splits as split_ratio, record_source, load_timestamp,
        package_id
    from {{ revised_rows(ref('sat_asset_price_stock'), by, "price_kind = 'bar'") }} bars
    where stock_splits > 0 and stock_splits <> 1
),

ranked as (
    select named.*, row_number() over (partition by asset_hk, split_date order by source) as source_order
    from named
),

multiplied as (
    select
        ranked.*,
        sum(ln(cast(split_ratio as double precision))) over (
            partition by asset_hk order by split_date rows between unbounded preceding and current row
        ) as exponent,
        lead(split_date, 1, cast('9999-12-31' as date)) over (partition by asset_hk order by split_date) as valid_to
    from ranked
    where source_order = 1
)

select
    cast({{ hash_columns({'multiplied.asset_hk': 'text', 'multiplied.split_date': 'date'}) }} as varchar) as split_hk,
    multiplied.asset_hk,
    hub.asset_symbol,
    hub.asset_type,
    multiplied.source,
    multiplied.split_date,
    multiplied.valid_to,
    multiplied.split_ratio,
    {{ as_type(
        'case when multiplied.exponent >= 0 then cast(cast(exp(multiplied.exponent) as decimal(38,9)) as double precision)'
        ~ ' else 1 / cast(cast(exp(-multiplied.exponent) as decimal(38,9)) as double precision) end', 'float'
    ) }} as share_factor,
    multiplied.record_source,
    multiplied.load_timestamp,
    multiplied.package_id
from multiplied
inner join {{ ref('hub_asset') }} hub on multiplied.asset_hk = hub.asset_hk
