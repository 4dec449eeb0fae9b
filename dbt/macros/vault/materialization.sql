{#
  How a vault table is kept: made once, then only inserted into, by one statement. It is never replaced, not even by
  --full-refresh: it remembers states that the raw tables no longer hold. A payload column that is new in the metadata
  is added; rows from before have null there.
#}
{% materialization vault, default, supported_languages=['sql'] %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set relation = this.incorporate(type='table') -%}
  {%- set columns = config.get('meta')['vault']['columns'] -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- if existing is none -%}
    {%- call statement('main') -%}{{ create_table_as(False, relation, sql) }}{%- endcall -%}
  {%- else -%}
    {%- set held = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list -%}
    {%- for name, type in columns.items() if name not in held -%}
      {%- call statement('add_' ~ name) -%}alter table {{ relation }} add column {{ name }} {{ sql_type(type) }}{%- endcall -%}
    {%- endfor -%}
    {%- call statement('main') -%}
insert into {{ relation }} ({{ columns | join(', ') }})
select {{ columns | join(', ') }} from (
{{ sql }}
) arrived
    {%- endcall -%}
  {%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}

  {{ return({'relations': [relation]}) }}
{% endmaterialization %}

{# Whether the model's table exists, that is: whether this run adds to it. #}
{% macro is_adding() -%}
  {{ return(execute and load_cached_relation(this) is not none) }}
{%- endmacro %}

{# Tell the materialization and the ERD what the table is. columns: {name: type}; hubs: hash columns of the hubs it hangs on. #}
{% macro describe_vault(kind, hk, columns, hubs=[]) -%}
  {%- set lineage = {'record_source': 'text', 'package_id': 'text', 'load_timestamp': 'time'} -%}
  {%- set all_columns = {} -%}
  {%- do all_columns.update(columns) -%}
  {%- do all_columns.update(lineage) -%}
  {{ config(meta={'vault': {'kind': kind, 'hk': hk, 'columns': all_columns, 'hubs': hubs}}) }}
{%- endmacro %}
