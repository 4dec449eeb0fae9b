{#
  Shares and splits. share_factor(x) is what one share from before an asset's first known split has become by day x
  (fct_asset_splits), 1 before it: it depends on no later day. Shares of day a are shares of day b when multiplied with
  share_factor(b) / share_factor(a); a split counts from its own day on.
#}
{% macro splits_until(relation, day) -%}
left join {{ ref('fct_asset_splits') }} splits
    on {{ relation }}.asset_hk = splits.asset_hk and {{ relation }}.{{ day }} >= splits.split_date
    and {{ relation }}.{{ day }} < splits.valid_to
{%- endmacro %}

{#
  A decimal times a decimal(38,18), rounded to ten digits after the point; untouched where the factor is 1. Of products
  alone, and of few enough digits for the 38 that a decimal has: every engine rounds them alike, and no two a quotient.
  Of an amount with thirteen digits before the point one behind it counts, and nine of the factor. (An integer as a
  decimal would be one of 64 bits in the emulator.)
#}
{% macro rescaled(value, factor, type) -%}
{%- set head = 'cast(' ~ value ~ ' as decimal(38,1))' -%}
{%- set rest = 'cast(' ~ value ~ ' - ' ~ head ~ ' as decimal(38,15))' -%}
{%- set of_rest = as_type(rest ~ ' * cast(' ~ factor ~ ' as decimal(38,12))', 'price') -%}
case
    when abs({{ factor }} - 1) < 0.000000001 then {{ value }}
    when abs({{ value }}) >= 1000000000000
        then {{ as_type('cast(' ~ head ~ ' * cast(' ~ factor ~ ' as decimal(38,9)) as decimal(38,10))', type) }}
    else {{ as_type('cast(' ~ head ~ ' * ' ~ factor ~ ' + ' ~ of_rest ~ ' as decimal(38,10))', type) }}
end
{%- endmacro %}

{# A factor by another, to 18 digits: nine of the doubles' quotient, the others from what these leave. #}
{% macro quotient(one, other) -%}
{%- set double = 'cast(' ~ other ~ ' as double precision)' -%}
{%- set nine = 'cast(cast(' ~ one ~ ' as double precision) / ' ~ double ~ ' as decimal(38,9))' -%}
{%- set left = 'cast(' ~ one ~ ' - ' ~ nine ~ ' * ' ~ other ~ ' as double precision)' -%}
{{ as_type(nine ~ ' + cast(' ~ left ~ ' / ' ~ double ~ ' as decimal(38,18))', 'price') }}
{%- endmacro %}

{# What one share has become as a decimal: a share_factor has nine digits, or its reciprocal has. #}
{% macro exact_factor(factor) -%}
case
    when {{ factor }} >= 1 then {{ as_type('cast(' ~ factor ~ ' as decimal(38,9))', 'price') }}
    else {{ quotient('1', 'cast(1 / ' ~ factor ~ ' as decimal(38,9))') }}
end
{%- endmacro %}

{#
  What the newest reading that says it says of a column: measures of the moment stand on the reading of their day alone,
  and a later reading of that day (for a dividend, a correction) knows them no more.
  by: what tells the rows apart whose versions are compared.
#}
{% macro last_known(column, by) -%}
first_value({{ column }}) over (
    partition by {{ by | join(', ') }}
    order by case when {{ column }} is null then 1 else 0 end, {{ latest_version() }}
    rows between unbounded preceding and unbounded following
)
{%- endmacro %}
