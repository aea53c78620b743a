"""Hides the WeChat Official Account: its pushes in, its replies and its API out. Nothing else imports wechatpy.

Take names from the modules: `pushes` (open a push), `replies` (answer it), `client` (call the API), `errors` (its refusals).
"""
