"""E-mails to customers: written from events, sent through SES, each at most once."""
