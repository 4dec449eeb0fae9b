{# The hash of docs/hash.md; what an engine has to bring of it is in macros/engine/. #}
{% macro hash_text(column, type) -%}
  {{ return(adapter.dispatch('hash_text', 'tickvault')(column, type)) }}
{%- endmacro %}

{% macro md5_hex(expression) -%}
  {{ return(adapter.dispatch('md5_hex', 'tickvault')(expression)) }}
{%- endmacro %}

{# enc(c): empty for null, else "=" and the text with \ and | escaped. chr(92) is a backslash, which literals disagree on. #}
{% macro hash_field(column, type) -%}
coalesce('=' || replace(replace({{ hash_text(column, type) }}, chr(92), chr(92) || chr(92)), '|', chr(92) || '|'), '')
{%- endmacro %}

{# md5 over the fields joined by "|". columns: {expression: type}, in this order. #}
{% macro hash_columns(columns) -%}
  {%- set fields = [] -%}
  {%- for expression, type in columns.items() -%}{%- do fields.append(hash_field(expression, type)) -%}{%- endfor -%}
  {{ return(md5_hex(fields | join(" || '|' || "))) }}
{%- endmacro %}

{# A business key's hash; a list of columns is a key of keys, {column: type} names types. #}
{% macro hash_key(columns) -%}
  {%- if columns is mapping -%}{{ return(hash_columns(columns)) }}{%- endif -%}
  {%- set typed = {} -%}
  {%- for column in columns -%}{%- do typed.update({column: 'key'}) -%}{%- endfor -%}
  {{ return(hash_columns(typed)) }}
{%- endmacro %}

{# What a satellite row says: the hash of its payload, columns in alphabetical order. columns: {name: type}. #}
{% macro hashdiff(columns) -%}
  {%- set ordered = {} -%}
  {%- for name in columns | sort -%}{%- do ordered.update({name: columns[name]}) -%}{%- endfor -%}
  {{ return(hash_columns(ordered)) }}
{%- endmacro %}
