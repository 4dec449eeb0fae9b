{# The names of types in a model's metadata, and what they are in SQL on every engine. #}
{% macro sql_type(type) -%}
  {{- return({
      'key': 'varchar', 'text': 'varchar', 'number': 'decimal(38,10)',
      'price': 'decimal(38,18)', 'date': 'date', 'time': 'timestamp(6)',
      'integer': 'bigint', 'float': 'double precision', 'flag': 'boolean',
  }[type]) -}}
{%- endmacro %}

{# Every computed column of a mart ends in this cast: 1/3 is not the same number on every engine. #}
{% macro as_type(expression, type) -%}
  cast({{ expression }} as {{ sql_type(type) }})
{%- endmacro %}

{# Models name their schema in full: the vault is VAULT whoever builds it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
