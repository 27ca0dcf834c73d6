"""What a plan is worth: cash flows, returns, losses, sensitivity, the workbook."""
