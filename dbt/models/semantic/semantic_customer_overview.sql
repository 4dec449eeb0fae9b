with parties as (
    select
        customer_hk as party_hk, 'personal' as customer_type, customer_id as party_id, tier, risk_tolerance, country,
        created_at
    from {{ ref('dim_customer') }}
    union all
    select
        company_hk as party_hk, 'corporate' as customer_type, company_id as party_id, tier, risk_tolerance, country,
        created_at
    from {{ ref('dim_company') }}
),

trades as (
    select
        party_hk,
        count(*) as transaction_count,
        sum(case when transaction_type = 'buy' then 1 else 0 end) as buy_count,
        sum(cast(transaction_amount as decimal(38,10))) as transaction_amount,
        sum(cast(fee_amount as decimal(38,10))) as fee_amount,
        min(transaction_timestamp) as first_transaction_at,
        max(transaction_timestamp) as last_transaction_at
    from {{ ref('semantic_transactions') }}
    group by party_hk
),

closes as (
    select asset_hk, case when is_usd then close_price * share_factor end as worth
    from (
        select
            bars.*,
            row_number() over (partition by asset_hk order by price_date desc) as age
        from {{ ref('fct_asset_indicators') }} bars
        where is_primary
    ) newest
    where age = 1
),

holdings as (
    select
        positions.party_hk,
        sum(case when positions.quantity > 0 then 1 else 0 end) as asset_count,
        -- Added up as decimals: a sum of doubles depends on their order, and the same data would look changed.
        -- An asset without a closed bar counts nothing, as in the metric aum.
        sum({{ as_type(
            as_type('positions.quantity', 'float') ~ ' / positions.share_factor * closes.worth', 'number'
        ) }}) as holdings_value
    from {{ ref('semantic_positions') }} positions
    left join closes on positions.asset_hk = closes.asset_hk
    where positions.is_current
    group by positions.party_hk
)

select
    parties.party_hk,
    cast(parties.customer_type as varchar) as customer_type,
    parties.party_id,
    parties.tier,
    parties.risk_tolerance,
    parties.country,
    parties.created_at,
    {{ as_type('coalesce(trades.transaction_count, 0)', 'integer') }} as transaction_count,
    {{ as_type('coalesce(trades.buy_count, 0)', 'integer') }} as buy_count,
    {{ as_type('coalesce(trades.transaction_count - trades.buy_count, 0)', 'integer') }} as sell_count,
    {{ as_type('coalesce(holdings.asset_count, 0)', 'integer') }} as asset_count,
    {{ as_type('coalesce(trades.transaction_amount, 0)', 'number') }} as transaction_amount,
    {{ as_type('coalesce(trades.fee_amount, 0)', 'number') }} as fee_amount,
    {{ as_type('coalesce(holdings.holdings_value, 0)', 'float') }} as holdings_value,
    {{ as_type('trades.first_transaction_at', 'time') }} as first_transaction_at,
    {{ as_type('trades.last_transaction_at', 'time') }} as last_transaction_at
from parties
left join trades on parties.party_hk = trades.party_hk
left join holdings on parties.party_hk = holdings.party_hk
