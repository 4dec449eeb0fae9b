{#
  How a vault table is kept: made once, then only inserted into, by one statement. It is never replaced, not even by
  --full-refresh: it remembers states that the raw tables no longer hold. A payload column that is new in the metadata
  is added; rows from before have null there. One that has more digits in the metadata is widened.
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
    {%- set found = adapter.get_columns_in_relation(relation) -%}
    {%- set held = found | map(attribute='name') | map('lower') | list -%}
    {%- do widen_prices(relation, found, columns) -%}
    {%- for name, type in columns.items() if name not in held -%}
      {%- call statement('add_' ~ name) -%}alter table {{ relation }} add column {{ name }} {{ stored_type(type) }}{%- endcall -%}
    {%- endfor -%}
    {%- do hold(relation) -%}
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

{#
  Give prices that a table holds with fewer digits after the point those they have now. No engine changes a scale in place,
  so the table is made anew from itself, by one statement: all of it happens or nothing, and nobody sees it half done.
#}
{% macro widen_prices(relation, found, columns) -%}
  {%- set narrow, selected = [], [] -%}
  {%- for column in found -%}
    {%- set name = column.name | lower -%}
    {%- if columns.get(name) == 'price' and column.numeric_scale | int < 18 -%}
      {%- do narrow.append(name) -%}
      {%- do selected.append(as_type(name, 'price') ~ ' as ' ~ name) -%}
    {%- else -%}
      {%- do selected.append(name) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if narrow -%}
    {%- do log('widening ' ~ narrow | join(', ') ~ ' of ' ~ relation, info=true) -%}
    {%- call statement('widen') -%}{{ replace_table(relation, 'select ' ~ selected | join(', ') ~ ' from ' ~ relation) }}{%- endcall -%}
  {%- endif -%}
{%- endmacro %}

{# Make a table anew by one statement; what an engine has to bring, in macros/engine/. #}
{% macro replace_table(relation, sql) -%}
  {{ return(adapter.dispatch('replace_table', 'tickvault')(relation, sql)) }}
{%- endmacro %}

{# The type of a column that a table gets later; what an engine has to add to it, in macros/engine/. #}
{% macro stored_type(type) -%}
  {{ return(adapter.dispatch('stored_type', 'tickvault')(type)) }}
{%- endmacro %}

{% macro default__stored_type(type) -%}
{{ sql_type(type) }}
{%- endmacro %}

{# Keep others from inserting until this transaction ends, where the engine would let them; in macros/engine/. #}
{% macro hold(relation) -%}
  {{ return(adapter.dispatch('hold', 'tickvault')(relation)) }}
{%- endmacro %}

{% macro default__hold(relation) -%}{%- endmacro %}

{# A statement that brings what the planner knows of a table up to date, where the engine does not by itself; in macros/engine/. #}
{% macro measure(relation) -%}
  {{ return(adapter.dispatch('measure', 'tickvault')(relation)) }}
{%- endmacro %}

{% macro default__measure(relation) -%}{%- endmacro %}

{# Whether the model's table exists, that is: whether this run adds to it. #}
{% macro is_adding() -%}
  {{ return(execute and load_cached_relation(this) is not none) }}
{%- endmacro %}

{#
  Tell the materialization, the tests and the ERD what the table is. columns: {name: type}; hubs: hash columns of the hubs
  it hangs on; more: what else its kind has to tell.
#}
{% macro describe_vault(kind, hk, columns, hubs=[], more={}) -%}
  {%- set lineage = {'record_source': 'text', 'package_id': 'text', 'load_timestamp': 'time'} -%}
  {%- set all_columns = {} -%}
  {%- do all_columns.update(columns) -%}
  {%- do all_columns.update(lineage) -%}
  {%- set described = {'kind': kind, 'hk': hk, 'columns': all_columns, 'hubs': hubs} -%}
  {%- do described.update(more) -%}
  {{ config(meta={'vault': described}) }}
{%- endmacro %}
