# A lab for development: it can be destroyed with its data, and costs little while idle.

environment = "development"
region      = "eu-central-1"
prefix      = "darkroom-dev"
protected   = false

# Who answers for the lab; all resources have the tags.
tags = { owner = "change-me" }

# Bucket names must be globally unique: use a suffix of your own.
bucket_suffix = "change-me"

# A new account has a quota of 10 concurrent calls, too low to reserve from.
reserved_concurrency_enabled = false
log_retention_days           = 7
point_in_time_recovery       = false

# The smallest server, without RDS Proxy, which costs twice as much as the server.
database = {
  engine_mode           = "instance"
  instance              = { class = "db.t4g.micro" }
  proxy_enabled         = false
  backup_retention_days = 1
  endpoint_zones        = 1
}

# Stripe's test mode. Put its keys into the secret <prefix>-payments.
payments = { provider = "stripe" }

sites = {
  web = ["http://localhost:3000"]
}
# An address of an SES identity.
mail_senders = {
  sender = "Darkroom (development) <photos@darkroom.example>"
}
