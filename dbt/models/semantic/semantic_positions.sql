-- What each party holds from day to day. Trades are added up in shares from before the asset's first split; a split
-- begins a new state, in which the same position is more shares or fewer. Before any split the sum is exact.
with changes as (
    select party_hk, customer_type, asset_hk, transaction_date as valid_from, sum(signed_quantity) as change
    from {{ ref('semantic_transactions') }}
    group by party_hk, customer_type, asset_hk, transaction_date
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
        cast(0 as {{ sql_type('number') }}) as change
    from openings
    inner join {{ ref('fct_asset_splits') }} splits
        on openings.asset_hk = splits.asset_hk and splits.split_date > openings.first_day
),

days as (
    select
        party_hk, customer_type, asset_hk, valid_from, sum(change) as change
    from events
    group by party_hk, customer_type, asset_hk, valid_from
),

valued as (
    select days.*, splits.split_hk, coalesce(splits.share_factor, 1) as share_factor
    from days
    {{ splits_until('days', 'valid_from') }}
),

states as (
    select
        valued.*,
        sum(change) over (
            partition by party_hk, asset_hk order by valid_from rows between unbounded preceding and current row
        ) as quantity,
        sum(cast(change as double precision) / share_factor) over (
            partition by party_hk, asset_hk order by valid_from rows between unbounded preceding and current row
        ) as original_shares,
        lead(valid_from, 1, cast('9999-12-31' as date))
            over (partition by party_hk, asset_hk order by valid_from) as valid_to
    from valued
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
        'case when states.split_hk is null then states.quantity'
        ~ ' else cast(states.original_shares * states.share_factor as decimal(38,8)) end', 'number'
    ) }} as quantity,
    {{ as_type('states.share_factor', 'float') }} as share_factor
from states
inner join {{ ref('dim_asset') }} assets on states.asset_hk = assets.asset_hk
