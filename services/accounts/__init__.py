"""Accounts: users and passwords in Postgres, sessions in DynamoDB."""
