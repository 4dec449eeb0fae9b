-- A trade whose customer type was corrected is in both satellites: the newest of all is what counts.
with versions as (
    {%- set satellites = {'personal': 'sat_transaction_personal', 'corporate': 'sat_transaction_corp'} %}
    {%- for customer_type, satellite in satellites.items() %}
    select
        '{{ customer_type }}' as customer_type,
        transaction_hk, transaction_id, customer_id, asset_type, asset_symbol, transaction_type, quantity,
        price_per_unit, transaction_amount, fee_amount, observed_at, row_version, hashdiff, payload_width,
        record_source, load_timestamp, package_id
    from {{ ref(satellite) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

trades as (
    select * from {{ current_rows('versions', ['transaction_hk']) }} newest
),

keyed as (
    select
        trades.*,
        case when customer_type = 'personal' then {{ hash_key(['customer_id']) }} end as customer_hk,
        case when customer_type = 'corporate' then {{ hash_key(['customer_id']) }} end as company_hk,
        {{ hash_key({'asset_type': 'text', 'asset_symbol': 'key'}) }} as asset_hk,
        cast(observed_at as date) as transaction_date
    from trades
),

-- What was known of the trading party when it traded; before its first known state, that state.
parties as (
    select customer_hk as party_hk, version, valid_from, valid_to, tier, risk_tolerance, country
    from {{ ref('dim_customer_history') }}
    union all
    select company_hk as party_hk, version, valid_from, valid_to, tier, risk_tolerance, country
    from {{ history(ref('sat_company_details'), 'company_hk') }} companies
),

described as (
    select
        keyed.*,
        parties.tier,
        parties.risk_tolerance,
        parties.country,
        assets.asset_name,
        assets.asset_category,
        assets.asset_market_cap,
        {{ dq_reasons([
            ('unknown_party', 'parties.party_hk is null'),
            ('unknown_asset', 'assets.is_listed is null or not assets.is_listed'),
            ('quantity_not_positive', 'keyed.quantity <= 0'),
            ('amount_mismatch', 'abs(cast(keyed.quantity as double precision) * cast(keyed.price_per_unit as double precision)'
                ~ ' - cast(keyed.transaction_amount as double precision)) > 0.01 + 0.0001 * cast(keyed.transaction_amount as double precision)'),
            ('fee_above_amount', 'keyed.fee_amount > keyed.transaction_amount'),
            ('later_than_load', 'keyed.observed_at > keyed.load_timestamp'),
        ]) }} as dq_reasons
    from keyed
    left join parties
        on coalesce(keyed.customer_hk, keyed.company_hk) = parties.party_hk
        and keyed.observed_at < parties.valid_to
        and (keyed.observed_at >= parties.valid_from or parties.version = 1)
    left join {{ ref('dim_asset') }} assets on keyed.asset_hk = assets.asset_hk
)

select
    transaction_hk,
    transaction_id,
    cast(customer_hk as varchar) as customer_hk,
    cast(company_hk as varchar) as company_hk,
    cast(asset_hk as varchar) as asset_hk,
    asset_symbol,
    asset_type,
    transaction_type,
    quantity,
    price_per_unit,
    transaction_amount,
    fee_amount,
    tier as customer_tier,
    risk_tolerance,
    country,
    asset_name,
    asset_category,
    asset_market_cap,
    observed_at as transaction_timestamp,
    transaction_date,
    {{ as_type('extract(year from transaction_date)', 'integer') }} as transaction_year,
    {{ as_type('extract(quarter from transaction_date)', 'integer') }} as transaction_quarter,
    {{ as_type('extract(month from transaction_date)', 'integer') }} as transaction_month,
    {{ as_type(iso_week('transaction_date'), 'integer') }} as transaction_week,
    {{ as_type(iso_day_of_week('transaction_date'), 'integer') }} as transaction_day_of_week,
    {{ as_type('extract(hour from observed_at)', 'integer') }} as transaction_hour,
    {{ as_type('transaction_amount - fee_amount', 'number') }} as net_amount,
    {{ as_type(
        '100 * cast(fee_amount as double precision) / nullif(cast(transaction_amount as double precision), 0)', 'float'
    ) }} as fee_percentage,
    record_source,
    load_timestamp,
    package_id,
    cast(case when dq_reasons is null then 'passed' else 'suspect' end as varchar) as dq_status,
    cast(dq_reasons as varchar) as dq_reasons
from described
