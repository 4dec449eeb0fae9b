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

positions as (
    select
        party_hk,
        asset_hk,
        sum(cast(signed_quantity as decimal(38,10))) as quantity_held,
        count(*) as transaction_count,
        sum(case when transaction_type = 'buy' then 1 else 0 end) as buy_count,
        sum(cast(transaction_amount as decimal(38,10))) as transaction_amount,
        sum(cast(fee_amount as decimal(38,10))) as fee_amount,
        min(transaction_timestamp) as first_transaction_at,
        max(transaction_timestamp) as last_transaction_at
    from {{ ref('semantic_transactions') }}
    group by party_hk, asset_hk
),

closes as (
    select asset_hk, close_price
    from (
        select
            asset_hk,
            close_price,
            row_number() over (partition by asset_hk order by price_date desc) as age
        from {{ ref('fct_asset_indicators') }}
        where is_primary and is_usd
    ) bars
    where age = 1
),

totals as (
    select
        positions.party_hk,
        sum(positions.transaction_count) as transaction_count,
        sum(positions.buy_count) as buy_count,
        sum(cast(positions.transaction_amount as decimal(38,10))) as transaction_amount,
        sum(cast(positions.fee_amount as decimal(38,10))) as fee_amount,
        count(*) as asset_count,
        -- Added up as decimals: a sum of doubles depends on their order, and the same data would look changed.
        -- An asset without a closed bar counts nothing, as in the metric aum.
        sum(cast(cast(positions.quantity_held as double precision) * closes.close_price as decimal(38,10)))
            as holdings_value,
        min(positions.first_transaction_at) as first_transaction_at,
        max(positions.last_transaction_at) as last_transaction_at
    from positions
    left join closes on positions.asset_hk = closes.asset_hk
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
    {{ as_type('coalesce(totals.transaction_count, 0)', 'integer') }} as transaction_count,
    {{ as_type('coalesce(totals.buy_count, 0)', 'integer') }} as buy_count,
    {{ as_type('coalesce(totals.transaction_count - totals.buy_count, 0)', 'integer') }} as sell_count,
    {{ as_type('coalesce(totals.asset_count, 0)', 'integer') }} as asset_count,
    {{ as_type('coalesce(totals.transaction_amount, 0)', 'number') }} as transaction_amount,
    {{ as_type('coalesce(totals.fee_amount, 0)', 'number') }} as fee_amount,
    {{ as_type('coalesce(totals.holdings_value, 0)', 'float') }} as holdings_value,
    {{ as_type('totals.first_transaction_at', 'time') }} as first_transaction_at,
    {{ as_type('totals.last_transaction_at', 'time') }} as last_transaction_at
from parties
left join totals on parties.party_hk = totals.party_hk
