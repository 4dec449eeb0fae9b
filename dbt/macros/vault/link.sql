{#
  A link: one row per relation of business keys, hashed over all of them in order, and the ghosts.
  hubs: {hash column: [type per key column]}.
  sources: [{model, keys: {hash column: [expression per key column]}, where}].
#}
{% macro link(hk, hubs, sources) -%}
{%- set columns = {hk: 'text'} -%}
{%- for hub_hk in hubs -%}{%- do columns.update({hub_hk: 'text'}) -%}{%- endfor -%}
{{ describe_vault('link', hk, columns, hubs.keys() | list) }}
with keyed as (
{%- for source in sources %}
    {%- set all_keys = {} %}
    select
        {%- for hub_hk, types in hubs.items() %}
        {%- set own_keys = {} %}
        {%- for type in types %}
        {%- do own_keys.update({source['keys'][hub_hk][loop.index0]: type}) %}
        {%- endfor %}
        {%- do all_keys.update(own_keys) %}
        {{ hash_columns(own_keys) }} as {{ hub_hk }},
        {%- endfor %}
        {{ hash_columns(all_keys) }} as {{ hk }},
        record_source, package_id, load_timestamp
    from {{ ref(source.model) }}
    where {{ source.where or '1 = 1' }}
      and {{ lookback() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
)

{{ first_of(hk, hubs.keys() | list) }}
{%- endmacro %}
