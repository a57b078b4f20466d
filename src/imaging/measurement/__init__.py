"""The measurement equation put together from modules: contracts, their evaluation, modules of our own."""
