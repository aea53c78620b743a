"""Backup and restore: one file for both databases, written while the service runs; what is restored never goes out by itself.

`files` is the file, `rows` carries rows in and out of it, `writing` takes a consistent copy, `restoring` puts one back, `aftermath` is
what must be true before anybody works on restored rows. docs/decisions/015 says why it is so.
"""
