"""What listens on HTTP: the webhook, the read page, health. Holds no queries."""
