"""The heart: events, the controller that turns them into commands, the journal, and the loop that joins them."""
