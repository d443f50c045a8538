//! Watching files and building the next snapshot, on the control thread.
