"""The homework kit: write the equation yourself, and be told the smallest input that proves you wrong."""
