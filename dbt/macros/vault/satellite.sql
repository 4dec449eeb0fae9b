{#
  A satellite: the changes of a hub's key, append-only. A reading that says what the state before it said is no change
  and is left out, so a source that is read a hundred times and changed once has two rows here.

  «Before» is the source's own order: row_version, which begins with the source's time or day and goes on with slot and
  revision. It is an order within a series: the hub's key and its dependent children, where a satellite is multi-active
  (the price of a coin per source, kind and moment). So

  - A, B, A are three rows: that B went back to A is a change;
  - a correction has the observed_at of what it corrects and a higher row_version: another row, if it says otherwise;
  - what comes late is judged against its neighbours in that order, not against what came before it: a late B between
    A and A brings two rows, itself and the second A, which was no change until then. Hence all readings of a series
    are judged again when one of them arrives, those that raw tables replaced included, and not those alone that are new;
  - a late A between A and B brings none. A late B between A and B makes the held B a repeat, which is the one kind
    that stays: nothing is ever removed. The views (views.sql) take it for what it is, as they do the repeats of vaults
    that held every reading;
  - of two readings of one version that contradict each other (an article, read for two coins) one is the word of the
    source, the same one each time, as in the raw tables: they are no change to and fro;
  - what is held is hashed anew here, since a column that was added to the payload is null in it: a reading without a
    value there says what was said before, one with a value is a change. Both have the same row_version, and
    payload_width, the number of payload columns there were, tells which of the two is the later word.

  Ghosts are in it, with nothing in their payload.
  keys: {hub's column: type}. payload: {column: type}. observed: the column with the source's own time.
  children: expressions over payload columns and observed_at, none of them ever null.
  sources: [{model, columns: {key or payload column: expression, where it is not the column itself}, where}].
#}
{% macro satellite(hk, keys, payload, observed, sources, children=[]) -%}
{%- set columns = {hk: 'text', 'observed_at': 'time', 'row_version': 'text', 'hashdiff': 'text', 'payload_width': 'integer'} -%}
{%- do columns.update(payload) -%}
{%- set read = {'hk': hk, 'keys': keys, 'payload': payload, 'observed': observed, 'sources': sources, 'children': children} -%}
{{ describe_vault('satellite', hk, columns, [hk], {'read': read}) }}
{{ changes(read, this if is_adding(), loaded_since_newest()) }}
union all
{{ missing_ghosts(hk, columns, {'observed_at': ghost_time(), 'row_version': "''", 'payload_width': '0'}) }}
{%- endmacro %}

{#
  Changes that a satellite does not hold, of the series that a row loaded in the look-back window belongs to.
  read: what satellite() was given. held: the satellite's table, none while there is none. window: a condition.
#}
{% macro changes(read, held, window) -%}
{%- set hk, payload = read['hk'], read['payload'] -%}
{%- set keys, series, typed_keys = [], [], {} -%}
{%- for column in read['keys'] -%}
  {%- do keys.append('key_' ~ column) -%}{%- do typed_keys.update({'key_' ~ column: 'text'}) -%}
{%- endfor -%}
{%- for child in read['children'] -%}{%- do series.append('child_' ~ loop.index) -%}{%- endfor -%}
{%- set content = ['observed_at', 'row_version'] + payload.keys() | list + ['record_source', 'package_id', 'load_timestamp'] -%}
with described as (
{%- for source in read['sources'] %}
    {%- set given = source.columns or {} %}
    select
        {%- for column, type in read['keys'].items() %}
        {{ hash_text(given.get(column, column), type) }} as key_{{ column }},
        {%- endfor %}
        {{ given.get(read['observed'], read['observed']) }} as observed_at,
        {%- for column, type in payload.items() %}
        cast({{ given.get(column, column) }} as {{ sql_type(type) }}) as {{ column }},
        {%- endfor %}
        row_version, record_source, package_id, load_timestamp
    from {{ ref(source.model) }}
    where {{ source.where or '1 = 1' }}
      and {{ loaded_before_this_run() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
),

told_apart as (
    select described.*{% for child in read['children'] %}, {{ child }} as child_{{ loop.index }}{% endfor %}
    from described
),

arrived as (
    select distinct
        cast({{ hash_columns(typed_keys) }} as varchar) as {{ hk }}, {{ (keys + series) | join(', ') }}
    from told_apart
    where {{ window }}
),

considered as (
    select
        a.{{ hk }},{% for name in series + content %} t.{{ name }},{% endfor %}
        {{ as_type(payload | length, 'integer') }} as payload_width, 1 as is_read
    from told_apart t
    inner join arrived a on {% for name in keys + series %}t.{{ name }} = a.{{ name }}{{ ' and ' if not loop.last }}{% endfor %}
    {%- if held %}
    union all
    select
        h.{{ hk }},{% for name in series + content %} h.{{ name }},{% endfor %}
        coalesce(h.payload_width, 0) as payload_width, 0 as is_read
    from (
        select held.*{% for child in read['children'] %}, {{ child }} as child_{{ loop.index }}{% endfor %}
        from {{ held }} held
    ) h
    inner join arrived a on {% for name in [hk] + series %}h.{{ name }} = a.{{ name }}{{ ' and ' if not loop.last }}{% endfor %}
    {%- endif %}
),

hashed as (
    select considered.*, cast({{ hashdiff(payload) }} as varchar) as hashdiff
    from considered
),

ranked as (
    select
        hashed.*,
        min(is_read) over (partition by {{ ([hk] + series) | join(', ') }}, row_version, hashdiff) as is_new,
        row_number() over (
            partition by {{ ([hk] + series) | join(', ') }}, row_version
            order by payload_width desc, hashdiff desc, is_read, load_timestamp, package_id, record_source
        ) as recency
    from hashed
),

compared as (
    select
        ranked.*,
        lag(hashdiff) over (partition by {{ ([hk] + series) | join(', ') }} order by row_version) as hashdiff_before
    from ranked
    where recency = 1
)

select
    c.{{ hk }}, c.observed_at, c.row_version, c.hashdiff, c.payload_width,
    {%- for column in payload %}
    c.{{ column }},
    {%- endfor %}
    c.record_source, c.package_id, c.load_timestamp
from compared c
where c.is_new = 1 and (c.hashdiff_before is null or c.hashdiff_before <> c.hashdiff)
{%- endmacro %}
