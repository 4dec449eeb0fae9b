{#
  Rows a vault table has to look at: all at first, then those loaded since its newest row less the look-back window.
  «Newer than the newest» would lose rows of the same moment and of loads that committed late.
#}
{% macro lookback() -%}
{%- if is_adding() -%}
load_timestamp >= (
    select coalesce({{ dbt.dateadd('hour', -1 * (var('lookback_hours') | int), 'max(load_timestamp)') }}, cast('1900-01-01 00:00:00' as timestamp(6)))
    from {{ this }}
)
{%- else -%}
1 = 1
{%- endif -%}
{%- endmacro %}
