"""Questions over HTTP: a folder of stored fits, read only, each question an endpoint made from its class.

``settings`` says how much is allowed, ``folder`` which fits there are, ``requests`` reads what is asked, ``answering`` is what a
worker process does with it, ``workers`` keeps these processes, ``guard`` stands before every request, ``application`` puts them
together, and ``server`` runs it.
"""
