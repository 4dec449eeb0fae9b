{#
  A non-historised link: one row per event and version, with what it relates and what it says. An event is not described
  over time, so the link carries its payload itself. It is insert-only: a source that corrects an event sends a row of a
  higher row_version, which is one more row here, and readers take the newest (newest_events). Its hash is over the
  business keys of all hubs and over row_version, its dependent key.
  hk: the hash column. hubs: {hash column: {key column: type}}; where the first key of a hub is null, that hub takes no
  part: its hash is null. payload: {column: type}, keys as the source writes them among it, the event's own first.
  observed: the column with the event's own time.
  sources: [{model, keys: {key column: expression, where it is not the column itself}, where}].
#}
{% macro nh_link(hk, hubs, payload, observed, sources) -%}
{%- set columns, typed = {hk: 'text'}, {} -%}
{%- for hub_hk, keys in hubs.items() -%}
  {%- do columns.update({hub_hk: 'text'}) -%}
  {%- for key, type in keys.items() -%}{%- do typed.update({'key_' ~ key: type}) -%}{%- endfor -%}
{%- endfor -%}
{%- do columns.update({'observed_at': 'time', 'row_version': 'text'}) -%}
{%- do columns.update(payload) -%}
{{ describe_vault('link', hk, columns, hubs.keys() | list) }}
with described as (
{%- for source in sources %}
    select
        {%- for keys in hubs.values() %}
        {%- for key in keys %}
        {{ (source['keys'] or {}).get(key, key) }} as key_{{ key }},
        {%- endfor %}
        {%- endfor %}
        {%- for column, type in payload.items() %}
        cast({{ column }} as {{ sql_type(type) }}) as {{ column }},
        {%- endfor %}
        {{ observed }} as observed_at, row_version, record_source, package_id, load_timestamp
    from {{ ref(source.model) }}
    where {{ source.where or '1 = 1' }}
      and {{ lookback() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
),

{%- do typed.update({'row_version': 'text'}) %}

hashed as (
    select
        cast({{ hash_columns(typed) }} as varchar) as {{ hk }},
        {%- for hub_hk, keys in hubs.items() %}
        {%- set own = {} %}
        {%- for key, type in keys.items() %}{% do own.update({'key_' ~ key: type}) %}{% endfor %}
        cast(case when {{ own.keys() | first }} is not null then {{ hash_columns(own) }} end as varchar) as {{ hub_hk }},
        {%- endfor %}
        described.*
    from described
),

ranked as (
    select
        hashed.*,
        row_number() over (
            partition by {{ hk }}
            order by load_timestamp, package_id, record_source, {{ payload.keys() | first }}
        ) as arrival
    from hashed
)

select r.{{ columns.keys() | join(', r.') }}, r.record_source, r.package_id, r.load_timestamp
from ranked r
where r.arrival = 1
{%- if is_adding() %}
  and not exists (select 1 from {{ this }} held where held.{{ hk }} = r.{{ hk }})
{%- endif %}
{%- endmacro %}

{#
  The newest version of every event of a non-historised link, as a subquery to select from. Corrections are few, so looking
  for a later version costs less than ranking all of them.
#}
{% macro newest_events(link, hk, event) -%}
(
    select events.*
    from {{ link }} events
    left join {{ link }} later
        on events.{{ event }} = later.{{ event }}
        and (
            later.row_version > events.row_version
            or (later.row_version = events.row_version and later.{{ hk }} > events.{{ hk }})
        )
    where later.{{ event }} is null
)
{%- endmacro %}
