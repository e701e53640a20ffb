"""What the designs without a broker share: the wire, the producer's listener, the consumer's side."""
