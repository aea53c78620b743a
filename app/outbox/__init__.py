"""The one gate out: everything that is not a passive reply is a delivery, and leaves through here.

`postman` sends for one process, `rounds` for one account, with a place for each call from `slots`. `claims` takes what is due under a
lease: `turns` says whose turn it is, `recheck` whether and how a message may still go, `ledger` and `pace` what the person and the
account allow. `parcels` puts it into words, `results` writes down what the platform said, `batches` holds the statements for many at
once. `riding` lets what waited go along with a reply. What goes to many at once: `crier` calls, `mass` says when and to whom and under
which id, `mass_answers` writes down what came of it, `mass_rows` holds what both move; `tags` knows who shall have a tag, `tagging` sees
to it.
"""
