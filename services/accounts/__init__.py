"""Users, their passwords and their sessions. Users live in Postgres, sessions in DynamoDB."""
