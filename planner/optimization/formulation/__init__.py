"""The programme: its data and variables, a file for each constraint family, what composes them."""
