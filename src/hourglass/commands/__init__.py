"""What a person types: `hourglass train`, `evaluate`, `encode`, `list`, `ui`, and what is printed in answer."""
