"""Pure mathematics of privacy: budgets, events, accountants, the ledger, the certificate.

Nothing here ever meets a row.
"""
