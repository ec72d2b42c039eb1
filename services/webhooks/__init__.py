"""Webhooks to customers and to the owner of the deployment: signed calls for events."""
