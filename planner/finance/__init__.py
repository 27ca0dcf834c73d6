"""What a plan is worth: cash flows, returns, losses, risk."""

#: Periods of failure drawn for a build unless somebody asks for another number.
SAMPLES = 800
