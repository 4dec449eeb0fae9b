{#
  What a satellite says, as subqueries to select from:
  - states(sat, by): the last word on every observed moment, after corrections.
  - current_rows(sat, by): the newest state of every key.
  - revised_rows(sat, by): the last reading of every key, where by tells the day it is of.
  by: the hash column and what tells several series of one key apart (source, kind, ...).
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

{% macro _last_word(sat, by, order, where) -%}
(
    select * from (
        select s.*, row_number() over (partition by {{ by | join(', ') }} order by {{ order }}) as recency
        from {{ sat }} s
        {%- if where %}
        where {{ where }}
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
        lead(observed_at, 1, cast('9999-12-31 00:00:00' as timestamp(6)))
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
