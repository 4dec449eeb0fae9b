{#
  A raw table as the vault reads it: every state that it holds and, where it has a change table by now, that it held before.
  Columns by name and type, record_source, and the three lineage columns.
  columns: {name: type}. area: batch | prices, the loader's schema. Times are UTC on every engine; the cast drops a zone that is always +00:00.
  added: columns that came later: null while the table has not got them, which is until the next load into it.
#}
{% macro raw_table(table, columns, area='batch', where=none, added={}) -%}
{%- set name = 'raw_' ~ area -%}
{%- set now, before = source(name, table), source(name, table ~ '_changes') -%}
{{ states_of(now, table, columns, where, added) }}
{%- if execute and adapter.get_relation(before.database, before.schema, before.identifier) %}
union all
{{ states_of(before, table, columns, where, added) }}
{%- endif %}
{%- endmacro %}

{% macro states_of(raw, table, columns, where, added) -%}
{%- set held = (adapter.get_columns_in_relation(raw) | map(attribute='name') | map('lower') | list) if added and execute else [] -%}
select
{%- for name, type in added.items() %}
    cast({{ name if name in held else 'null' }} as {{ sql_type(type) }}) as {{ name }},
{%- endfor %}
{%- for name, type in columns.items() %}
    cast({{ name }} as {{ sql_type(type) }}) as {{ name }},
{%- endfor %}
    cast(split_part(package_id, '.', 1) || '.{{ table }}' as varchar) as record_source,
    cast(row_version as varchar) as row_version,
    cast(package_id as varchar) as package_id,
    cast(load_timestamp as timestamp(6)) as load_timestamp
from {{ raw }}
{%- if where %}
where {{ where }}
{%- endif %}
{%- endmacro %}

{% macro raw_transactions(customer_type) -%}
{{ raw_table('raw_transactions_' ~ customer_type, {
    'transaction_id': 'text', 'customer_id': 'text', 'customer_type': 'text', 'company_id': 'text',
    'asset_type': 'text', 'asset_symbol': 'text', 'transaction_type': 'text', 'quantity': 'number',
    'price_per_unit': 'number', 'transaction_amount': 'number', 'fee_amount': 'number', 'currency': 'text',
    'transaction_timestamp': 'time',
}, where="customer_type = '" ~ customer_type ~ "'") }}
{%- endmacro %}

{% macro raw_cryptoprices(source_name) -%}
{{ raw_table('raw_cryptoprices_' ~ source_name, {
    'symbol': 'text', 'base_currency': 'text', 'quote_currency': 'text', 'price': 'price', 'volume': 'number',
    'source': 'text', 'observed_at': 'time', 'price_change_24h': 'price', 'price_change_percent_24h': 'number',
    'high_24h': 'price', 'low_24h': 'price', 'market_cap': 'number',
}, area='prices', added={'price_unit': 'number'}) }}
{%- endmacro %}
