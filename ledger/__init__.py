"""Concord: a permissioned ledger for trusted data exchange.

The rooms, each importing only from those to its left (STYLE, enforced by import-linter):

    errors, types <- merkle, statements <- log, content <- evidence
        <- chain | store | client <- exchange <- api | scripts
"""
