{# The text of one column for a hash (docs/hash.md), on Snowflake and the emulator. #}
{% macro snowflake__hash_text(column, type) -%}
{%- if type == 'key' -%}
{#- Not trim(…, ' '): the emulator leaves its second argument out, and U+00A0 would go too. -#}
translate(regexp_replace({{ column }}, '^ +| +$', ''), 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
{%- elif type == 'text' -%}
{{ column }}
{%- elif type == 'number' -%}
to_varchar(cast({{ column }} as decimal(38,10)))
{%- elif type == 'price' -%}
{%- set text = "to_varchar(cast(" ~ column ~ " as decimal(38,18)))" -%}
substr({{ text }}, 1, length({{ text }}) - 8) || regexp_replace(right({{ text }}, 8), '0+$', '')
{%- elif type == 'date' -%}
to_varchar({{ column }}, 'YYYY-MM-DD')
{%- elif type == 'time' -%}
{%- set text = "to_varchar(" ~ column ~ ", 'YYYY-MM-DD HH24:MI:SS.FF6')" -%}
{#- The padding changes nothing on Snowflake; the emulator leaves trailing zeros of the fraction, and its point, away. -#}
rpad({{ text }} || case when length({{ text }}) = 19 then '.' else '' end, 26, '0')
{%- else -%}
{{ exceptions.raise_compiler_error("hash_text: column " ~ column ~ " has type '" ~ type ~ "', which has no text") }}
{%- endif -%}
{%- endmacro %}

{% macro snowflake__md5_hex(expression) -%}
md5({{ expression }})
{%- endmacro %}

{% macro snowflake__replace_table(relation, sql) -%}
create or replace table {{ relation }} copy grants as {{ sql }}
{%- endmacro %}
