"""What the designs without a broker share: the wire, the producer's door, the consumer's side."""
