{# The text of one column for a hash (docs/hash.md), on Trino. #}
{% macro trino__hash_text(column, type) -%}
{%- if type == 'key' -%}
{#- A bare trim() also strips tabs and newlines here. -#}
translate(trim(both ' ' from {{ column }}), 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
{%- elif type == 'text' -%}
{{ column }}
{%- elif type == 'number' -%}
cast(cast({{ column }} as decimal(38,10)) as varchar)
{%- elif type == 'price' -%}
{%- set text = "cast(cast(" ~ column ~ " as decimal(38,18)) as varchar)" -%}
substr({{ text }}, 1, length({{ text }}) - 8) || regexp_replace(substr({{ text }}, -8), '0+$', '')
{%- elif type == 'date' -%}
cast({{ column }} as varchar)
{%- elif type == 'time' -%}
{#- date_format() loses microseconds, the cast does not. -#}
cast(cast({{ column }} as timestamp(6)) as varchar)
{%- else -%}
{{ exceptions.raise_compiler_error("hash_text: column " ~ column ~ " has type '" ~ type ~ "', which has no text") }}
{%- endif -%}
{%- endmacro %}

{% macro trino__md5_hex(expression) -%}
lower(to_hex(md5(to_utf8({{ expression }}))))
{%- endmacro %}

{% macro trino__replace_table(relation, sql) -%}
{{ trino__create_table_as(False, relation, sql, 'replace') }}
{%- endmacro %}
