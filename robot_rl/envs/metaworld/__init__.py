"""Meta-World's Sawyer arm at a table: drawers, buttons, doors, pegs, balls."""
