"""E-mails to customers: composed from events, sent through SES, each once."""
