"""What the base itself costs: a function that does nothing."""


def handler(_event, _context):
    return {"warm": True}
