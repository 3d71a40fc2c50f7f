"""What overlap follows from: regression of overlap on what could explain it."""
