{#
  Where the emulator differs from Snowflake. On the macro path only when SNOWFLAKE_HOST is set (dbt_project.yml).
  A snapshot would need one more, as the merge has (every column in VALUES qualified); there is none.
#}

{# Temporary relations are per session there, and every statement of dbt may be another one's. #}
{% macro snowflake__create_table_temporary_sql(relation, compiled_code) -%}
{{ snowflake__create_table_transient_sql(relation, compiled_code) }}
{%- endmacro %}

{% macro snowflake__create_view_as_with_temp_flag(relation, sql, is_temporary=False) -%}
create or replace view {{ relation }}
  {%- if config.get('contract').enforced %}
  {{ get_assert_columns_equivalent(sql) }}
  {%- endif %}
as (
{{ sql }}
);
{%- endmacro %}

{# The default's merge of a model with a key, with every column in VALUES qualified. #}
{% macro snowflake__get_merge_sql(target, source_sql, unique_key, dest_columns, incremental_predicates) -%}
{%- set names = dest_columns | map(attribute='quoted') | list %}
merge into {{ target }} as held
using {{ source_sql }} as arrived
on held.{{ unique_key }} = arrived.{{ unique_key }}
when matched then update set
    {% for name in names %}{{ name }} = arrived.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
when not matched then insert ({{ names | join(', ') }}) values (arrived.{{ names | join(', arrived.') }})
{%- endmacro %}
