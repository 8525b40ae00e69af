"""What a user reads: frozen values in, text out.

Nothing here reads, writes, or knows where its text goes. Whatever comes from files or targets passes through
`mlops.reports.escape` before it is shown, so no name can break or forge a report. Values of the ledger and of the
pipeline are described by protocols, because a report is no reason to import them.
"""
