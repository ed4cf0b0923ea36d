"""The words that all other rooms speak: trials, events, objectives, paths, and checks of arguments."""
