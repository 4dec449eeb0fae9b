{#-
  Built anew, or, where the table is there, by the keys of what changed: trades, what is known of their parties from when on,
  and what is known of an asset on a day. A row that says what it said is not written. Merged by one statement, so a kill
  leaves all of it or nothing. tests/dbt/test_incremental.py holds it to a full build; docs/decisions says what it saves.
-#}
{{ config(
    materialized='incremental', incremental_strategy='merge', unique_key='transaction_hk', on_schema_change='fail'
) }}
{%- set adding = not should_full_refresh() and is_incremental() -%}
{%- set trades, profiles, details = ref('nhl_transaction'), ref('sat_customer_profile'), ref('sat_company_details') -%}
{#- The look-back of the vault's tables: what a load brought since, as late as it may have been seen. -#}
{%- set in_window = loaded_in_window(this) if adding -%}
with
{%- if adding %}
new_trades as (
    select events.transaction_hk, events.asset_hk, cast(events.observed_at as date) as transaction_date
    from {{ trades }} events
    left join {{ this }} held
        on events.transaction_hk = held.transaction_hk
        and events.package_id = held.package_id and events.load_timestamp = held.load_timestamp
    where events.{{ in_window }} and held.transaction_hk is null
),

held_assets as (
    select distinct
        asset_hk, transaction_date, asset_name, asset_category, asset_market_cap,
        coalesce(',' || dq_reasons || ',' like '%,unknown_asset,%', false) as is_unknown
    from {{ this }}
),

traded_days as (
    select asset_hk, transaction_date from new_trades
    union all
    select asset_hk, transaction_date from held_assets
),
{%- else %}
traded_days as (
    select distinct asset_hk, cast(observed_at as date) as transaction_date from {{ trades }}
),
{%- endif %}

-- Market capitalisations as they were known when a day began: what is reported later that day is not known yet.
caps as (
    select asset_hk, known_on, market_cap
    from (
        select
            reported.*,
            row_number() over (
                partition by asset_hk, known_on order by observed_at desc, load_timestamp desc, price_hk
            ) as age
        from (
            select
                asset_hk, market_cap, observed_at, load_timestamp, price_hk,
                case
                    when observed_at = cast(cast(observed_at as date) as {{ sql_type('time') }})
                        then cast(observed_at as date)
                    else cast({{ dbt.dateadd('day', 1, 'cast(observed_at as date)') }} as date)
                end as known_on
            from {{ ref('fct_asset_prices') }}
            where market_cap is not null and dq_status = 'passed'
        ) reported
    ) ranked
    where age = 1
),

known_days as (
    select asset_hk, transaction_date, max(market_cap) over (partition by asset_hk, reports) as market_cap
    from (
        select
            asset_hk, transaction_date, market_cap,
            count(market_cap) over (partition by asset_hk order by transaction_date) as reports
        from (
            select asset_hk, transaction_date, max(market_cap) as market_cap
            from (
                select asset_hk, transaction_date, cast(null as {{ sql_type('number') }}) as market_cap from traded_days
                union all
                select asset_hk, known_on as transaction_date, market_cap from caps
            ) all_days
            group by asset_hk, transaction_date
        ) days
    ) counted
),

-- What was known of the trading party when it traded; before its first known state, that state.
parties as (
    select customer_hk as party_hk, version, valid_from, valid_to, tier, risk_tolerance, country
    from {{ ref('dim_customer_history') }}
    union all
    select
        pit.company_hk as party_hk, pit.version, pit.valid_from, pit.valid_to, companies.tier, companies.risk_tolerance,
        companies.country
    from {{ ref('pit_company') }} pit
    inner join {{ details }} companies on {{ points_to('pit', 'sat_company_details', 'companies', 'company_hk') }}
    where pit.sat_company_details_hk = pit.company_hk
),

{% if adding %}
-- A state says something else of its party from then on; the first known one also of what was before.
changed_parties as (
    select
        party_hk,
        case when changed_at > first_at then changed_at else cast('0001-01-01 00:00:00' as {{ sql_type('time') }}) end
            as changed_from
    from (
        select
            party_hk, min(observed_at) as first_at,
            min(case when states.{{ in_window }} then observed_at end) as changed_at
        from (
            select customer_hk as party_hk, observed_at, load_timestamp from {{ profiles }}
            union all
            select company_hk as party_hk, observed_at, load_timestamp from {{ details }}
        ) states
        group by party_hk
    ) windows
    where changed_at is not null
),

changed_assets as (
    select held.asset_hk, held.transaction_date
    from held_assets held
    left join {{ ref('dim_asset') }} assets on held.asset_hk = assets.asset_hk
    left join known_days on held.asset_hk = known_days.asset_hk and held.transaction_date = known_days.transaction_date
    where held.asset_name is distinct from assets.asset_name
       or held.asset_category is distinct from assets.asset_category
       or held.asset_market_cap is distinct from known_days.market_cap
       or held.is_unknown <> (assets.is_listed is null or not assets.is_listed)
),

changed as (
    select transaction_hk from new_trades
    union
    select held.transaction_hk
    from {{ this }} held
    inner join changed_parties
        on coalesce(held.customer_hk, held.company_hk) = changed_parties.party_hk
        and held.transaction_timestamp >= changed_parties.changed_from
    union
    select held.transaction_hk
    from {{ this }} held
    inner join changed_assets
        on held.asset_hk = changed_assets.asset_hk and held.transaction_date = changed_assets.transaction_date
),
{%- endif %}

trades as (
    select newest.*, cast(observed_at as date) as transaction_date
    from {{ newest_events(trades, 'nhl_transaction_hk', 'transaction_hk', 'changed' if adding else none) }} newest
),

described as (
    select
        trades.*,
        parties.tier,
        parties.risk_tolerance,
        parties.country,
        assets.asset_name,
        assets.asset_category,
        {{ as_type('known_days.market_cap', 'number') }} as asset_market_cap,
        {{ dq_reasons([
            ('unknown_party', 'parties.party_hk is null'),
            ('unknown_asset', 'assets.is_listed is null or not assets.is_listed'),
            ('quantity_not_positive', 'trades.quantity <= 0'),
            ('amount_mismatch', 'abs(' ~ as_type('trades.quantity', 'float') ~ ' * ' ~ as_type('trades.price_per_unit', 'float')
                ~ ' - ' ~ as_type('trades.transaction_amount', 'float') ~ ') > 0.01 + 0.0001 * '
                ~ as_type('trades.transaction_amount', 'float')),
            ('fee_above_amount', 'trades.fee_amount > trades.transaction_amount'),
            ('later_than_load', 'trades.observed_at > trades.load_timestamp'),
        ]) }} as dq_reasons
    from trades
    left join parties
        on coalesce(trades.customer_hk, trades.company_hk) = parties.party_hk
        and trades.observed_at < parties.valid_to
        and (trades.observed_at >= parties.valid_from or parties.version = 1)
    left join {{ ref('dim_asset') }} assets on trades.asset_hk = assets.asset_hk
    left join known_days
        on trades.asset_hk = known_days.asset_hk and trades.transaction_date = known_days.transaction_date
),

built as (
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
            '100 * ' ~ as_type('fee_amount', 'float') ~ ' / nullif(' ~ as_type('transaction_amount', 'float') ~ ', 0)', 'float'
        ) }} as fee_percentage,
        record_source,
        load_timestamp,
        package_id,
        cast(case when dq_reasons is null then 'passed' else 'suspect' end as varchar) as dq_status,
        cast(dq_reasons as varchar) as dq_reasons
    from described
)

select built.*
from built
{%- if adding %}
left join {{ this }} held on built.transaction_hk = held.transaction_hk
where held.transaction_hk is null or {{ says_otherwise('built', 'held') }}
{%- endif %}
