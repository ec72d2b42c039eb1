"""`python -m services.local.payment_sandbox`: runs the sandbox."""

from services.local.payment_sandbox.server import main

if __name__ == "__main__":
    main()
