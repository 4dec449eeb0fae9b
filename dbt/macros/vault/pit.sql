{#
  A point-in-time table: for every key and moment, which row of each satellite held then, so that marts join on equality
  and inner. Where a satellite says nothing, it points to its ghost. It is made anew by every build.
  A bridge does the same at the end of several links.
  satellites: {satellite: its hash column}. columns: {name: type} of what else there is, instead of an interval.
#}
{% macro describe_pit(hk, satellites, columns={}, kind='pit', hubs=none) -%}
{%- set all_columns = {hk: 'text'} -%}
{%- if not columns -%}{%- do all_columns.update({'version': 'integer', 'valid_from': 'time', 'valid_to': 'time'}) -%}{%- endif -%}
{%- do all_columns.update(columns) -%}
{%- for satellite in satellites -%}
  {%- for column, type in {'hk': 'text', 'observed_at': 'time', 'row_version': 'text', 'hashdiff': 'text'}.items() -%}{%- do all_columns.update({satellite ~ '_' ~ column: type}) -%}{%- endfor -%}
{%- endfor -%}
{{ config(meta={'vault': {'kind': kind, 'hk': hk, 'columns': all_columns, 'hubs': hubs or [hk], 'satellites': satellites}}) }}
{%- endmacro %}

{# The interval that a state of history() holds in; who has none has one from the first moment to the last. #}
{% macro interval_of(found) -%}
    {{ as_type('coalesce(' ~ found ~ '.version, 1)', 'integer') }} as version,
    {{ as_type('coalesce(' ~ found ~ '.valid_from, ' ~ ghost_time() ~ ')', 'time') }} as valid_from,
    {{ as_type('coalesce(' ~ found ~ '.valid_to, ' ~ end_of_time() ~ ')', 'time') }} as valid_to
{%- endmacro %}

{# Columns that point to a row of a satellite: the one that `found` has, or the ghost. #}
{% macro pointer(found, satellite, hk) -%}
    cast(coalesce({{ found }}.{{ hk }}, {{ unknown_key() }}) as varchar) as {{ satellite }}_hk,
    coalesce({{ found }}.observed_at, {{ ghost_time() }}) as {{ satellite }}_observed_at,
    cast(coalesce({{ found }}.row_version, '') as varchar) as {{ satellite }}_row_version,
    cast(coalesce({{ found }}.hashdiff, {{ unknown_key() }}) as varchar) as {{ satellite }}_hashdiff
{%- endmacro %}

{# The condition of the join from a PIT to a row of a satellite. #}
{% macro points_to(pit, satellite, rows, hk) -%}
{{ pit }}.{{ satellite }}_hk = {{ rows }}.{{ hk }}
{%- for column in ('observed_at', 'row_version', 'hashdiff') %}
    and {{ pit }}.{{ satellite }}_{{ column }} = {{ rows }}.{{ column }}
{%- endfor %}
{%- endmacro %}
