//! Use cases: authorise, validate, one transaction, audit, wake. Knows neither HTTP nor HTML.
