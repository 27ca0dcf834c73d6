"""The programme: its data, its variables, one file for each constraint family, and what composes them."""
