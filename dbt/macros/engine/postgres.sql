{# The text of one column for a hash (docs/hash.md), on PostgreSQL. #}
{% macro postgres__hash_text(column, type) -%}
{%- if type == 'key' -%}
translate(trim(both ' ' from {{ column }}), 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
{%- elif type == 'text' -%}
{{ column }}
{%- elif type == 'number' -%}
cast(cast({{ column }} as decimal(38,10)) as varchar)
{%- elif type == 'price' -%}
{%- set text = "cast(cast(" ~ column ~ " as decimal(38,18)) as varchar)" -%}
left({{ text }}, -8) || rtrim(right({{ text }}, 8), '0')
{%- elif type == 'date' -%}
to_char({{ column }}, 'YYYY-MM-DD')
{%- elif type == 'time' -%}
to_char({{ column }}, 'YYYY-MM-DD HH24:MI:SS.US')
{%- else -%}
{{ exceptions.raise_compiler_error("hash_text: column " ~ column ~ " has type '" ~ type ~ "', which has no text") }}
{%- endif -%}
{%- endmacro %}

{% macro postgres__md5_hex(expression) -%}
md5({{ expression }})
{%- endmacro %}

{# One transaction, so that all of it happens or nothing; who looks at the table meanwhile waits. #}
{% macro postgres__replace_table(relation, sql) -%}
{%- set anew = relation.incorporate(path={'identifier': relation.identifier ~ '__anew'}) -%}
create table {{ anew }} as {{ sql }};
drop table {{ relation }};
alter table {{ anew }} rename to "{{ relation.identifier }}"
{%- endmacro %}

{#
  Raw times carry a zone here, and the cast alone would bring in that of the session. Text is in the order of its bytes, as
  on the other engines; what is made from a column inherits that.
#}
{% macro postgres__raw_column(name, type) -%}
{%- if type == 'time' -%}
cast({{ name }} at time zone 'UTC' as {{ sql_type(type) }})
{%- else -%}
cast({{ name }} as {{ sql_type(type) }}){{ ' collate "C"' if sql_type(type) == 'varchar' }}
{%- endif -%}
{%- endmacro %}

{# Text that comes later is in the order of its bytes too. #}
{% macro postgres__stored_type(type) -%}
{{ sql_type(type) }}{{ ' collate "C"' if sql_type(type) == 'varchar' }}
{%- endmacro %}

{# Two inserts at once would each miss what the other inserts: a session that is still at it is waited for. #}
{% macro postgres__hold(relation) -%}
{%- call statement('hold') -%}lock table {{ relation }} in share row exclusive mode{%- endcall -%}
{%- endmacro %}

{# Without, the planner takes a new table for a small one. #}
{% macro postgres__measure(relation) -%}
analyze {{ relation }}
{%- endmacro %}

{# dbt's own, in UTC and without a zone, whatever the session's is. #}
{% macro postgres__current_timestamp() -%}
(now() at time zone 'UTC')
{%- endmacro %}

{#
  dbt's own makes an empty table with the contract's types and inserts into it: an insert is not done by several workers, and its
  text has the database's collation.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
create {{ 'temporary ' if temporary }}table {{ relation }} as
{% if config.get('contract').enforced -%}
{{ get_assert_columns_equivalent(sql) }}
select
{%- for column in model.columns.values() %}
    cast({{ column.name }} as {{ postgres_type(column.data_type) }})
    {{- ' collate "C"' if column.data_type == 'varchar' }} as {{ column.name }}{{ ',' if not loop.last }}
{%- endfor %}
from (
{{ sql }}
) built
{%- elif config.get('materialized') == 'vault' -%}
select
{%- for name, type in config.get('meta')['vault']['columns'].items() %}
    {{ name }}{{ ' collate "C"' if sql_type(type) == 'varchar' }} as {{ name }}{{ ',' if not loop.last }}
{%- endfor %}
from (
{{ sql }}
) arrived
{%- else -%}
{{ sql }}
{%- endif %}
{%- endmacro %}

{% macro postgres__get_empty_schema_sql(columns) -%}
select
{%- for column in columns.values() %}
    cast(null as {{ postgres_type(column.data_type) }}) as {{ column.name }}{{ ',' if not loop.last }}
{%- endfor %}
{%- endmacro %}

{% macro postgres_type(data_type) -%}
{{ 'double precision' if data_type == 'double' else data_type }}
{%- endmacro %}
