{#
  A hub: one row per business key, with the load that first brought it, and the ghosts. Keys are kept as they are hashed.
  hk: the hash column. keys: {column: type}. sources: [{model, columns: [expression per key], where}].
#}
{% macro hub(hk, keys, sources) -%}
{%- set columns = {hk: 'text'} -%}
{%- do columns.update(keys) -%}
{{ describe_vault('hub', hk, columns) }}
with keyed as (
{%- for source in sources %}
    {%- set expressions = {} %}
    {%- for type in keys.values() %}{% do expressions.update({source.columns[loop.index0]: type}) %}{% endfor %}
    select
        {{ hash_columns(expressions) }} as {{ hk }},
        {%- for key, type in keys.items() %}
        {{ hash_text(source.columns[loop.index0], type) }} as {{ key }},
        {%- endfor %}
        record_source, package_id, load_timestamp
    from {{ ref(source.model) }}
    where {{ source.where or '1 = 1' }}
      and {{ lookback() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
)

{{ first_of(hk, keys.keys() | list) }}
{%- endmacro %}

{#
  Rows of `keyed` that the table does not hold yet, one per hash: the earliest load, ties by package and source; and ghosts,
  whose business keys are (unknown) and (error).
#}
{% macro first_of(hk, columns) -%}
select
    cast(f.{{ hk }} as varchar) as {{ hk }},
    {%- for column in columns %}
    cast(f.{{ column }} as varchar) as {{ column }},
    {%- endfor %}
    f.record_source, f.package_id, f.load_timestamp
from (
    select
        keyed.*,
        row_number() over (partition by {{ hk }} order by load_timestamp, package_id, record_source) as arrival
    from keyed
) f
where f.arrival = 1
{%- if is_adding() %}
  and not exists (select 1 from {{ this }} held where held.{{ hk }} = f.{{ hk }})
{%- endif %}
union all
{%- set typed, said = {hk: 'text'}, {} -%}
{%- for column in columns -%}{%- do typed.update({column: 'text'}) -%}{%- do said.update({column: "'(?)'"}) -%}{%- endfor %}
{{ missing_ghosts(hk, typed, said) }}
{%- endmacro %}
