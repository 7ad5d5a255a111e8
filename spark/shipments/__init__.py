"""Shipments: synthetic raw data for a day, and the five tables made of it.

The library of the two jobs beside it. Generation runs
`generation → block → (network, seasonality, pools, breakage) → raw_day → storage`; processing runs
`processing → (raw_day, rules, tables, look_back, delta) → storage`. Nothing here knows where it runs: a path is a URI,
and credentials, region and endpoint come from the environment as AWS's own clients read them.
"""
