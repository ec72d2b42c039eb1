"""Events as typed values: parsed from queue messages, published to topics."""
