{#
  A measure lies in a band; null passes. day: a date column, and then only the last var gate_days days are looked at, or,
  with recent=false, only those before: what was wrong once must not hold back every day that follows.
#}
{% test within(model, column, least, most, day=none, recent=true) %}
{%- set since = run_started_at - modules.datetime.timedelta(days=var('gate_days') | int) %}
select * from {{ model }}
where ({{ column }} < {{ least }} or {{ column }} > {{ most }})
{%- if day %}
  and {{ day }} {{ '>=' if recent else '<' }} cast('{{ since.strftime("%Y-%m-%d") }}' as date)
{%- endif %}
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
