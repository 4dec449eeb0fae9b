with traded_days as (
    select distinct asset_hk, cast(observed_at as date) as transaction_date from {{ ref('nhl_transaction') }}
),

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
    inner join {{ ref('sat_company_details') }} companies
        on {{ points_to('pit', 'sat_company_details', 'companies', 'company_hk') }}
    where pit.sat_company_details_hk = pit.company_hk
),

trades as (
    select newest.*, cast(observed_at as date) as transaction_date
    from {{ newest_events(ref('nhl_transaction'), 'nhl_transaction_hk', 'transaction_hk') }} newest
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
        '100 * ' ~ as_type('fee_amount', 'float') ~ ' / nullif(' ~ as_type('transaction_amount', 'float') ~ ', 0)', 'float'
    ) }} as fee_percentage,
    record_source,
    load_timestamp,
    package_id,
    cast(case when dq_reasons is null then 'passed' else 'suspect' end as varchar) as dq_status,
    cast(dq_reasons as varchar) as dq_reasons
from described
