"""The programme solved by decomposition: purchases in a master, recourse in small programmes."""
