"""The one gate out: everything that is not a passive reply is a delivery, and leaves through here.

`claims` takes what is due under a lease and decides its way; `results` writes down what the platform said; `riding` lets what
waited go along with a reply; `postman` is the loop that calls the platform.
"""
