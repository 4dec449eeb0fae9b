{#
  A satellite: every state of a hub's key that was ever observed, append-only. A row's key is hash + observed_at +
  row_version (a correction has a higher one) + hashdiff, so neither order nor time of arrival decides what is kept.
  payload_width is the number of payload columns there were: a column that is added gives a version another hashdiff, and
  of two with the same version the wider one is the later reading (views.sql).
  keys: {hub's column: type}. payload: {column: type}. observed: the column with the source's own time.
  sources: [{model, columns: {key or payload column: expression, where it is not the column itself}, where}].
#}
{% macro satellite(hk, keys, payload, observed, sources) -%}
{%- set columns = {hk: 'text', 'observed_at': 'time', 'row_version': 'text', 'hashdiff': 'text', 'payload_width': 'integer'} -%}
{%- do columns.update(payload) -%}
{{ describe_vault('satellite', hk, columns, [hk]) }}
with described as (
{%- for source in sources %}
    {%- set given = source.columns or {} %}
    select
        {%- for column in keys %}
        {{ given.get(column, column) }} as key_{{ column }},
        {%- endfor %}
        {{ given.get(observed, observed) }} as observed_at,
        {%- for column, type in payload.items() %}
        cast({{ given.get(column, column) }} as {{ sql_type(type) }}) as {{ column }},
        {%- endfor %}
        row_version, record_source, package_id, load_timestamp
    from {{ ref(source.model) }}
    where {{ source.where or '1 = 1' }}
      and {{ lookback() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
),

{%- set typed_keys = {} %}
{%- for column, type in keys.items() %}{% do typed_keys.update({'key_' ~ column: type}) %}{% endfor %}

hashed as (
    select
        cast({{ hash_columns(typed_keys) }} as varchar) as {{ hk }},
        cast({{ hashdiff(payload) }} as varchar) as hashdiff,
        described.*
    from described
),

ranked as (
    select
        hashed.*,
        row_number() over (
            partition by {{ hk }}, observed_at, row_version, hashdiff order by load_timestamp, package_id, record_source
        ) as arrival
    from hashed
)

select
    r.{{ hk }}, r.observed_at, r.row_version, r.hashdiff, {{ as_type(payload | length, 'integer') }} as payload_width,
    {%- for column in payload %}
    r.{{ column }},
    {%- endfor %}
    r.record_source, r.package_id, r.load_timestamp
from ranked r
where r.arrival = 1
{%- if is_adding() %}
  and not exists (
      select 1 from {{ this }} held
      where held.{{ hk }} = r.{{ hk }} and held.observed_at = r.observed_at
        and held.row_version = r.row_version and held.hashdiff = r.hashdiff
  )
{%- endif %}
{%- endmacro %}
