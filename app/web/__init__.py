"""What listens on HTTP: the webhook, the read page, health, metrics. Holds no queries."""
