"""What a plan is worth: cash flows, returns, losses, risk."""
