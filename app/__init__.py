"""The service: takes pushes, asks the bots, keeps the rows, sends what must be sent."""
