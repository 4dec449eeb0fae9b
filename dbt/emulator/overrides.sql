{#
  Where the emulator differs from Snowflake. On the macro path only when SNOWFLAKE_HOST is set (dbt_project.yml).
  A model that merges or a snapshot would need two more (every column in VALUES qualified); there is none.
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
