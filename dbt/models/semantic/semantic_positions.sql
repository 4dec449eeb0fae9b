-- What each party holds from day to day. Trades are brought to shares from before the asset's first split and added up;
-- a split then begins a new state, in which the same position is more shares or fewer.
with trades as (
    select
        trades.party_hk,
        trades.customer_type,
        trades.asset_hk,
        trades.transaction_date as valid_from,
        {{ as_type(
            rescaled('trades.signed_quantity', '1 / coalesce(splits.share_factor, 1)', 'price'), 'price'
        ) }} as change
    from {{ ref('semantic_transactions') }} trades
    {{ splits_until('trades', 'transaction_date') }}
),

changes as (
    select party_hk, customer_type, asset_hk, valid_from, sum(change) as change
    from trades
    group by party_hk, customer_type, asset_hk, valid_from
),

openings as (
    select party_hk, customer_type, asset_hk, min(valid_from) as first_day
    from changes
    group by party_hk, customer_type, asset_hk
),

events as (
    select * from changes
    union all
    select
        openings.party_hk, openings.customer_type, openings.asset_hk, splits.split_date as valid_from,
        cast(0 as {{ sql_type('price') }}) as change
    from openings
    inner join {{ ref('fct_asset_splits') }} splits
        on openings.asset_hk = splits.asset_hk and splits.split_date > openings.first_day
),

days as (
    select party_hk, customer_type, asset_hk, valid_from, sum(change) as change
    from events
    group by party_hk, customer_type, asset_hk, valid_from
),

states as (
    select
        days.*,
        sum(change) over (
            partition by party_hk, asset_hk order by valid_from rows between unbounded preceding and current row
        ) as original_shares,
        lead(valid_from, 1, cast('9999-12-31' as date))
            over (partition by party_hk, asset_hk order by valid_from) as valid_to
    from days
)

select
    cast({{ hash_columns({
        'states.party_hk': 'text', 'states.asset_hk': 'text', 'states.valid_from': 'date'
    }) }} as varchar) as position_hk,
    states.party_hk,
    states.customer_type,
    states.asset_hk,
    assets.asset_symbol,
    assets.asset_name,
    assets.asset_type,
    assets.asset_category,
    states.valid_from,
    states.valid_to,
    {{ as_type("states.valid_to = cast('9999-12-31' as date)", 'flag') }} as is_current,
    {{ as_type(
        rescaled('states.original_shares', 'coalesce(splits.share_factor, 1)', 'number'), 'number'
    ) }} as quantity,
    {{ as_type('coalesce(splits.share_factor, 1)', 'float') }} as share_factor
from states
inner join {{ ref('dim_asset') }} assets on states.asset_hk = assets.asset_hk
{{ splits_until('states', 'valid_from') }}
