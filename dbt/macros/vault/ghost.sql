{#
  Ghost records: two rows that every hub, link and satellite has beside those of the sources, so that who joins them joins
  inner. The one stands for what is unknown: a PIT points to it where a satellite says nothing of a key (yet). The other
  stands for what is wrong, for loads that would rather keep a reference than refuse it. Marts show neither (views.sql).
#}
{% macro ghosts() -%}
{{ return({'unknown': '0' * 32, 'error': 'f' * 32}) }}
{%- endmacro %}

{% macro unknown_key() -%}
'{{ ghosts()['unknown'] }}'
{%- endmacro %}

{% macro is_no_ghost(hk) -%}
{{ hk }} not in ('{{ ghosts().values() | join("', '") }}')
{%- endmacro %}

{# Older than anything a source could say. #}
{% macro ghost_time() -%}
cast('1900-01-01 00:00:00' as timestamp(6))
{%- endmacro %}

{#
  The ghosts a table does not hold yet, to be united with what it is given. columns: {name: type} of the table, in its
  order and without the lineage; said: {name: expression} where a column is not null. Hashes are those of the ghost.
#}
{% macro missing_ghosts(hk, columns, said={}) -%}
{%- for meaning, key in ghosts().items() %}
select
    {%- for name, type in columns.items() %}
    {%- set own = "'" ~ key ~ "'" if name.endswith('_hk') or name == 'hashdiff' else said.get(name, 'null') | replace('?', meaning) %}
    cast({{ own }} as {{ sql_type(type) }}) as {{ name }},
    {%- endfor %}
    cast('SYSTEM' as varchar) as record_source, cast('SYSTEM' as varchar) as package_id, {{ ghost_time() }} as load_timestamp
from (select 1 as one) once
{%- if is_adding() %}
where not exists (select 1 from {{ this }} held where held.{{ hk }} = '{{ key }}')
{%- endif %}
{{- '\nunion all' if not loop.last }}
{%- endfor %}
{%- endmacro %}
