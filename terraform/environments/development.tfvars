# A lab to try things in: it can be destroyed with all that is in it, and costs little while idle.

environment = "development"
region      = "eu-central-1"
prefix      = "darkroom-dev"
protected   = false

# Bucket names are unique among everybody's: put something of yours here.
bucket_suffix = "change-me"

# A new account may call 10 functions at once, and nothing can be reserved from that.
reserved_concurrency_enabled = false
log_retention_days           = 7
point_in_time_recovery       = false

# The smallest server there is, entered with its secret: RDS Proxy costs twice as much as the server.
database = {
  engine_mode           = "instance"
  instance              = { class = "db.t4g.micro" }
  proxy_enabled         = false
  backup_retention_days = 1
  endpoint_zones        = 1
}

# Stripe's test mode. Its keys are put into the secret <prefix>-payments by who has them.
payments = { provider = "stripe" }

sites = {
  web = ["http://localhost:3000"]
}
# An address or a domain that SES may send from.
mail_senders = {
  sender = "Darkroom (development) <photos@darkroom.example>"
}
