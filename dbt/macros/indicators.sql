{#
  Technical indicators over a series (an asset at one source in one currency, by its bars), null until their window is full.
  `bar` counts the series' bars from 1. Formulas: J. W. Wilder, New Concepts in Technical Trading Systems (1978), for
  RSI and its smoothing; G. Appel, Technical Analysis (2005), for MACD 12/26/9; J. Bollinger, Bollinger on Bollinger
  Bands (2001), for the bands (population deviation). Seeds as in StockCharts' ChartSchool: the first exponential
  average is the simple average of the first full window.
#}
{% macro over_bars(frame) -%}
over (partition by asset_hk, source, money order by bar rows between {{ frame }} and current row)
{%- endmacro %}

{% macro rolling(aggregate, value, window, first=none) -%}
case when bar >= {{ first or window }} then {{ aggregate }}({{ value }}) {{ over_bars((window - 1) ~ ' preceding') }} end
{%- endmacro %}

{#
  Exponential average in closed form, without recursion: with k = 1 - alpha,
      average(t) = k^t * ( seed * k^-first + sum over first < i <= t of alpha * value(i) * k^-i ).
  first: the bar whose average is the seed. k^-t stays below 1e308 for series of some 3,000 bars (var indicator_bars).
#}
{% macro exponential(value, alpha, first, seed) -%}
{%- set k = "cast(" ~ (1 - alpha) ~ " as double precision)" -%}
case when bar >= {{ first }} then
    power({{ k }}, bar) * sum(
        case
            when bar = {{ first }} then {{ seed }} * power({{ k }}, -bar)
            when bar > {{ first }} then cast({{ alpha }} as double precision) * {{ value }} * power({{ k }}, -bar)
            else cast(0 as double precision)
        end
    ) {{ over_bars('unbounded preceding') }}
end
{%- endmacro %}
