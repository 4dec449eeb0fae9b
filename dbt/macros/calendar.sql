{# ISO 8601 calendar parts of a date, by arithmetic: the engines' own functions depend on session settings. #}
{% macro iso_day_of_week(day) -%}
(mod({{ dbt.datediff("cast('1900-01-01' as date)", day, 'day') }}, 7) + 1)
{%- endmacro %}

{# The week's number is that of its Thursday. #}
{% macro iso_week(day) -%}
{%- set thursday = dbt.dateadd('day', '4 - ' ~ iso_day_of_week(day), day) -%}
(floor((extract(doy from {{ thursday }}) - 1) / 7) + 1)
{%- endmacro %}
