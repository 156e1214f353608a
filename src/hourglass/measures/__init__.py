"""What a trained model is measured against, and how."""
