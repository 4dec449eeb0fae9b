{#
  What a satellite says, as subqueries to select from:
  - states(sat, by): the last word on every observed moment, after corrections.
  - current_rows(sat, by): the newest state of every key.
  - revised_rows(sat, by): the last reading of every key, where by tells the day it is of.
  by: the hash column and what tells several series of one key apart (source, kind, ...). Ghosts are left out.
#}
{% macro states(sat, by, where=none) -%}
{{ _last_word(sat, by + ['observed_at'], latest_version(), where) }}
{%- endmacro %}

{% macro current_rows(sat, by, where=none) -%}
{{ _last_word(sat, by, 'observed_at desc, ' ~ latest_version(), where) }}
{%- endmacro %}

{# Rows from before payload_width was kept have null there. #}
{% macro latest_version() -%}
row_version desc, coalesce(payload_width, 0) desc, hashdiff desc
{%- endmacro %}

{# A day's version begins with the day: the later reading wins, whatever time of that day an earlier one observed. #}
{% macro revised_rows(sat, by, where=none) -%}
{{ _last_word(sat, by, latest_version(), where) }}
{%- endmacro %}

{# The last word on every version, after a reading of it with more columns. #}
{% macro last_readings(sat, hk) -%}
{{ _last_word(sat, [hk, 'row_version'], latest_version()) }}
{%- endmacro %}

{% macro end_of_time() -%}
cast('9999-12-31 00:00:00' as timestamp(6))
{%- endmacro %}

{% macro _last_word(sat, by, order, where) -%}
(
    select * from (
        select s.*, row_number() over (partition by {{ by | join(', ') }} order by {{ order }}) as recency
        from {{ sat }} s
        where {{ is_no_ghost('s.' ~ by[0]) }}
        {%- if where %}
          and {{ where }}
        {%- endif %}
    ) ranked
    where recency = 1
)
{%- endmacro %}

{#
  history(sat, hk): the states of a key as half-open intervals [valid_from, valid_to) that neither overlap nor leave a
  gap; states that say the same as the one before them are one interval. The last one ends in the year 9999.
#}
{% macro history(sat, hk) -%}
(
    select
        changes.*,
        observed_at as valid_from,
        lead(observed_at, 1, {{ end_of_time() }})
            over (partition by {{ hk }} order by observed_at) as valid_to,
        row_number() over (partition by {{ hk }} order by observed_at) as version
    from (
        select
            last_word.*,
            lag(hashdiff) over (partition by {{ hk }} order by observed_at) as hashdiff_before
        from {{ states(sat, [hk]) }} last_word
    ) changes
    where hashdiff_before is null or hashdiff_before <> hashdiff
)
{%- endmacro %}

{#
  in_force(sat, hk, link, driving_key): of an effectivity satellite, the intervals in which a relation of the link is in
  force, with the key that drives it.
#}
{% macro in_force(sat, hk, link, driving_key) -%}
(
    select links.{{ driving_key }}, states.*
    from {{ history(sat, hk) }} states
    inner join {{ link }} links on states.{{ hk }} = links.{{ hk }}
    where states.effectivity = 'in force'
)
{%- endmacro %}
