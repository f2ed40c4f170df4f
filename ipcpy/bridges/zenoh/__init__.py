"""The adapter for Zenoh: offers as liveliness tokens, parcels as samples, questions as queries. Sessions live here, and
what Zenoh calls things; what crosses never does.
"""
