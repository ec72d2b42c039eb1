"""The API as a customer uses it: a client, and the commands over it."""
