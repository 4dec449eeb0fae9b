"""The warehouse: dbt builds and tests it aside, and what passed is published."""
