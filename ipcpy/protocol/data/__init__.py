"""From one publisher to one subscriber: frames, order, gaps, credit. Pure."""
