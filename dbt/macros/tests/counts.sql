{# Two relations have the same number of rows; hk: the other's hash column, where it has ghosts, which do not count. #}
{% test same_count(model, other, hk=none) %}
select here.row_count, there.row_count as expected
from (select count(*) as row_count from {{ model }}) here
cross join (select count(*) as row_count from {{ other }}{% if hk %} where {{ is_no_ghost(hk) }}{% endif %}) there
where here.row_count <> there.row_count
{% endtest %}

{#
  Row-count reconciliation of a hub with the raw tables: every key of theirs is in it.
  keys: {hub's column: type}; sources: {model: [expression per key]}; optional: a key may be null, which is in no hub.
#}
{% test reconciles(model, keys, sources, optional=false) %}
{%- set columns = keys.keys() | list %}
select raw.*
from (
    {%- for source, expressions in sources.items() %}
    select
        {%- for column, type in keys.items() %}
        {{ hash_text(expressions[loop.index0], type) }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref(source) }}
    where {{ loaded_before_this_run() }}
    {{ 'union' if not loop.last }}
    {%- endfor %}
) raw
left join {{ model }} hub on {% for column in columns %}raw.{{ column }} = hub.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
where hub.{{ columns[0] }} is null
{%- if optional %}
  and raw.{{ columns[0] }} is not null
{%- endif %}
{% endtest %}

{#
  Reconciliation of a satellite with the raw tables: a look at all their rows finds no change that it does not hold.
  read_from: the raw models, for dbt to know that they come first.
#}
{% test holds_every_change(model, read_from) %}
{%- if execute -%}
{{ changes((graph.nodes.values() | selectattr('name', 'equalto', model.identifier | lower) | first).config.meta.vault.read, model, '1 = 1') }}
{%- endif -%}
{% endtest %}

{#
  Reconciliation of a non-historised link with the raw tables: every version of every event of theirs is in it.
  event: the hash column of the event's hub; key: its business key; read_from: the raw models.
#}
{% test holds_every_event(model, event, key, read_from) %}
select raw.*
from (
    {%- for source in read_from %}
    select {{ hash_key([key]) }} as {{ event }}, row_version, package_id
    from {{ ref(source) }}
    where {{ loaded_before_this_run() }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
) raw
left join {{ model }} held on raw.{{ event }} = held.{{ event }} and raw.row_version = held.row_version
where held.{{ event }} is null
{% endtest %}

{# Every bar of these satellites is in the mart: one per asset, source and day. #}
{% test holds_every_bar(model, satellites) %}
select bars.*
from (
    {%- for satellite in satellites %}
    select asset_hk, source, price_date from {{ ref(satellite) }} where price_kind = 'bar'
    {{ 'union' if not loop.last }}
    {%- endfor %}
) bars
left join {{ model }} mart
    on bars.asset_hk = mart.asset_hk and bars.source = mart.source and bars.price_date = mart.price_date
    and mart.price_kind = 'bar'
where mart.asset_hk is null
{% endtest %}
