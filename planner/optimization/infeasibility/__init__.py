"""Why there is no plan, and which values of the model would make one."""
