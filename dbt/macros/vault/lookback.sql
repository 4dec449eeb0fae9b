{#
  Rows a vault table has to look at: all at first, then those loaded since its newest row less the look-back window.
  «Newer than the newest» would lose rows of the same moment and of loads that committed late.
#}
{% macro lookback() -%}
{{ loaded_before_this_run() }}
      and {{ loaded_since_newest() }}
{%- endmacro %}

{% macro loaded_since_newest() -%}
{%- if is_adding() -%}
load_timestamp >= (
    select coalesce({{ dbt.dateadd('hour', -1 * (var('lookback_hours') | int), 'max(load_timestamp)') }}, cast('1900-01-01 00:00:00' as timestamp(6)))
    from {{ this }}
)
{%- else -%}
1 = 1
{%- endif -%}
{%- endmacro %}

{#
  One set of rows for a whole run: the raw tables are read live, and what is loaded between a hub and its satellite would
  be an orphan in one of them. It waits for the next run. The bound is here and not in the raw views, since a part would
  leave the bound of the others behind. No --vars: changed ones make dbt parse anew.
#}
{% macro loaded_before_this_run(column='load_timestamp') -%}
cast({{ column }} as timestamp(6)) <= cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as timestamp(6))
{%- endmacro %}
