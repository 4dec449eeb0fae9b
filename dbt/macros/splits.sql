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

{# A decimal times a double, rounded to ten digits after the point; untouched where the factor is 1. #}
{% macro rescaled(value, factor, type) -%}
case
    when abs({{ factor }} - 1) < 0.000000001 then {{ value }}
    else {{ as_type('cast(cast(' ~ value ~ ' as double precision) * (' ~ factor ~ ') as decimal(38,10))', type) }}
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
