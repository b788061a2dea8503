"""What reaches people: the digest and its channels."""
