{#
  A measure lies in a band; null passes.
#}
{% test within(model, column, least, most) %}
select * from {{ model }}
where {{ column }} < {{ least }} or {{ column }} > {{ most }}
{% endtest %}

{# No row is suspect for this reason: a warning, since such a row is left out of what is made from it. #}
{% test free_of(model, dq_reason) %}
select cast(dq_reasons as varchar) as quarantine_reason, tested.*
from {{ model }} tested
where ',' || dq_reasons || ',' like '%,{{ dq_reason }},%'
{% endtest %}

{#
  What is wrong is wrong of few assets: on no day of the last var gate_days are more than var suspect_assets assets of a type,
  and more than var suspect_percent of them, suspect. One bad row is isolated; a source gone wrong is not published.
#}
{% test few(model, wrong) %}
{%- set since = run_started_at - modules.datetime.timedelta(days=var('gate_days') | int) %}
select asset_type, price_date, suspect_assets, all_assets
from (
    select
        asset_type, price_date,
        count(distinct case when {{ wrong }} then asset_hk end) as suspect_assets,
        count(distinct asset_hk) as all_assets
    from {{ model }}
    where price_date >= cast('{{ since.strftime("%Y-%m-%d") }}' as date)
    group by asset_type, price_date
) days
where suspect_assets > {{ var('suspect_assets') }} and 100 * suspect_assets > {{ var('suspect_percent') }} * all_assets
{% endtest %}

{# The newest load is not older than var freshness_hours; an empty table is not stale. #}
{% test fresh(model) %}
select newest
from (select max(load_timestamp) as newest from {{ model }}) loads
where newest < {{ dbt.dateadd('hour', -1 * (var('freshness_hours') | int), "cast(" ~ dbt.current_timestamp() ~ " as timestamp(6))") }}
{% endtest %}

{# Intervals of a key neither overlap nor leave a gap, and exactly the last one is open. #}
{% test intervals(model, key) %}
select *
from (
    select
        {{ key }}, valid_from, valid_to, is_current,
        lead(valid_from) over (partition by {{ key }} order by valid_from) as next_from
    from {{ model }}
) ordered
where valid_from >= valid_to
   or (next_from is not null and (valid_to <> next_from or is_current))
   or (next_from is null and not is_current)
{% endtest %}
