"""What was measured -> pages for people."""
