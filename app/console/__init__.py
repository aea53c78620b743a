"""What the console knows and does, without its pages: logins, sessions, tries, scans, who may see what, and what each page shows."""
