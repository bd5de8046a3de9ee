"""Nodes on their way in and afterwards: tokens, joining, approval, renewal, and the way back."""
