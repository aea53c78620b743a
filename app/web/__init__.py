"""What listens on HTTP: the webhook, the read page, the questionnaire page, the console, health, metrics. Holds no queries."""
