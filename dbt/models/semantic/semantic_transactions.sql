select
    trades.transaction_hk,
    trades.transaction_id,
    cast(case when trades.company_hk is null then 'personal' else 'corporate' end as varchar) as customer_type,
    cast(coalesce(trades.customer_hk, trades.company_hk) as varchar) as party_hk,
    cast(coalesce(people.customer_id, companies.company_id) as varchar) as party_id,
    trades.customer_tier,
    trades.risk_tolerance,
    trades.country,
    trades.asset_hk,
    trades.asset_symbol,
    trades.asset_name,
    trades.asset_type,
    trades.asset_category,
    trades.transaction_type,
    trades.transaction_timestamp,
    trades.transaction_date,
    trades.transaction_year,
    trades.transaction_quarter,
    trades.transaction_month,
    trades.transaction_week,
    trades.quantity,
    {{ as_type("case when trades.transaction_type = 'sell' then -trades.quantity else trades.quantity end", 'number') }}
        as signed_quantity,
    trades.price_per_unit,
    trades.transaction_amount,
    {{ as_type(
        "case when trades.transaction_type = 'sell' then -trades.transaction_amount else trades.transaction_amount end",
        'number'
    ) }} as signed_amount,
    trades.fee_amount,
    trades.net_amount,
    trades.fee_percentage,
    trades.dq_status,
    trades.dq_reasons,
    trades.load_timestamp
from {{ ref('fct_transactions') }} trades
left join {{ ref('dim_customer') }} people on trades.customer_hk = people.customer_hk
left join {{ ref('dim_company') }} companies on trades.company_hk = companies.company_hk
