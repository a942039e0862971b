"""What serves: query text -> scored concepts -> decision."""
