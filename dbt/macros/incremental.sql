{#
  What marts need that are built by changed keys.
  loaded_in_window(mart): a condition on load_timestamp, the look-back of the vault's tables from the mart's own newest
  load on: what a load brought since, as late as it may have been seen. Asked once, for a mart has no index to answer from.
#}
{% macro loaded_in_window(mart) -%}
{%- set hours = var('lookback_hours') | int -%}
{%- set asked -%}
select cast({{ dbt.dateadd('hour', -1 * hours, 'max(load_timestamp)') }} as varchar) from {{ mart }}
{%- endset -%}
load_timestamp >= cast('{{ run_query(asked).columns[0][0] or '1900-01-01 00:00:00' }}' as timestamp(6))
{%- endmacro %}

{# Whether two rows of the model differ in a column of its contract. #}
{% macro says_otherwise(row, held) -%}
(
    {%- for column in model['columns'] %}
    {{ row }}.{{ column }} is distinct from {{ held }}.{{ column }}{{ ' or' if not loop.last }}
    {%- endfor %}
)
{%- endmacro %}
