"""What the people at the printer are given besides the print files.

This package imports nothing on its own: take `make_job_sheet` from `services.printing.job_sheet`.
"""
